package main

import (
	"fmt"
	"sync"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"
)

func TestMosquittoClients_TalkThroughBothBrokers(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
			for qos := range 3 {
				topic := fmt.Sprintf("%s/%d", version, qos)
				mosquitto(t, "mosquitto_pub", addr, "-V", version, "-t", topic, "-m", "kept", "-r", "-q", fmt.Sprint(qos))
				require.Equal(t, topic+" kept\n", mosquitto(t, "mosquitto_sub", addr, "-V", version, "-t", version+"/+", "-t", "none",
					"-q", fmt.Sprint(qos), "-C", "1", "-v", "-W", "60", "--retained-only"))
				mosquitto(t, "mosquitto_pub", addr, "-V", version, "-t", topic, "-n", "-r", "-q", "1")
			}
		}
	})
}

// A session of mosquitto_sub that is not clean gets what was published while it was away.
func TestMosquittoClients_GetWhatWasQueued(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		away := []string{"-i", "away", "-c", "-q", "1", "-t", "a/#", "-W", "60"}
		mosquitto(t, "mosquitto_sub", addr, append(away, "-E")...)
		for i := range 10 {
			mosquitto(t, "mosquitto_pub", addr, "-t", "a/b", "-m", fmt.Sprint(i), "-q", "1")
		}
		require.Equal(t, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", mosquitto(t, "mosquitto_sub", addr, append(away, "-C", "10")...))
	})
}

// pahoClient is a client of eclipse/paho.mqtt.golang.
func pahoClient(t *testing.T, addr, id string, change ...func(*paho.ClientOptions)) paho.Client {
	t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(id).SetAutoReconnect(false).SetOrderMatters(true)
	for _, f := range change {
		f(o)
	}
	c := paho.NewClient(o)
	wait(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func wait(t *testing.T, token paho.Token) {
	t.Helper()
	require.True(t, token.WaitTimeout(patience))
	require.NoError(t, token.Error())
}

// Several publishers, of which each is in order for every subscriber, whatever the QoS.
func TestPaho_MessagesOfOnePublisherStayInOrder(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		const publishers, each = 3, 200
		for qos := range byte(3) {
			var mu sync.Mutex
			next, total, done := map[string]int{}, 0, make(chan struct{})
			sub := pahoClient(t, addr, fmt.Sprint("sub", qos))
			wait(t, sub.Subscribe(fmt.Sprintf("order/%d/+", qos), qos, func(_ paho.Client, m paho.Message) {
				mu.Lock()
				defer mu.Unlock()
				if got := string(m.Payload()); got != fmt.Sprint(next[m.Topic()]) {
					t.Errorf("%s: %s came, and not %d", m.Topic(), got, next[m.Topic()])
				}
				next[m.Topic()]++
				if total++; total == publishers*each {
					close(done)
				}
			}))
			var wg sync.WaitGroup
			for p := range publishers {
				pub := pahoClient(t, addr, fmt.Sprintf("pub%d-%d", qos, p))
				wg.Go(func() {
					for i := range each {
						token := pub.Publish(fmt.Sprintf("order/%d/%d", qos, p), qos, false, fmt.Sprint(i))
						if i%10 == 9 { // mosquitto drops messages if more than 20 are under way
							token.WaitTimeout(patience)
						}
					}
				})
			}
			wg.Wait()
			await(t, done, fmt.Sprint("messages with QoS ", qos))
		}
	})
}

func TestPaho_WillAndResume(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		wills := make(chan string, 10)
		watch := pahoClient(t, addr, "watch")
		wait(t, watch.Subscribe("will", 1, func(_ paho.Client, m paho.Message) { wills <- string(m.Payload()) }))
		lost := make(chan error, 1)
		first := pahoClient(t, addr, "id", func(o *paho.ClientOptions) {
			o.SetCleanSession(false).SetWill("will", "gone", 1, false)
			o.OnConnectionLost = func(_ paho.Client, err error) { lost <- err }
		})
		wait(t, first.Subscribe("a", 1, nil))
		got := make(chan string, 10)
		second := pahoClient(t, addr, "id", func(o *paho.ClientOptions) {
			o.SetCleanSession(false)
			o.DefaultPublishHandler = func(_ paho.Client, m paho.Message) { got <- string(m.Payload()) }
		})
		if !isMosquitto(t) { // which sends no will after a takeover
			require.Equal(t, "gone", await(t, wills, "the will after the takeover"))
		}
		require.Error(t, await(t, lost, "the end of the first connection"))
		wait(t, watch.Publish("a", 1, false, "x"))
		require.Equal(t, "x", await(t, got, "the subscription's message"))
		require.True(t, second.IsConnected())
	})
}
