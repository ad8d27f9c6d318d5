package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"
	plog "github.com/eclipse/paho.golang/paho/log"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

// five is a client of eclipse/paho.golang.
type five struct {
	*paho.Client
	messages chan *paho.Publish
	ends     chan byte // the code of the broker's DISCONNECT
}

func newFive(t *testing.T, addr, id string, connect *paho.Connect, change ...func(*paho.ClientConfig)) (*five, *paho.Connack) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	f := &five{messages: make(chan *paho.Publish, 100), ends: make(chan byte, 1)}
	config := paho.ClientConfig{
		Conn: conn, ClientID: id, PacketTimeout: patience,
		OnServerDisconnect: func(d *paho.Disconnect) { f.ends <- d.ReasonCode },
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			f.messages <- p.Packet
			return true, nil
		}},
	}
	for _, g := range change {
		g(&config)
	}
	f.Client = paho.NewClient(config)
	connect.ClientID = id
	ack, err := f.Connect(within(t), connect)
	require.NoError(t, err)
	return f, ack
}

// within returns a context that ends when patience does.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (f *five) want(t *testing.T, payload string) *paho.Publish {
	t.Helper()
	m := await(t, f.messages, "a message")
	require.Equal(t, payload, string(m.Payload))
	return m
}

func (f *five) wantEnd(t *testing.T, code packets.Code) {
	t.Helper()
	require.Equal(t, code.Code, await(t, f.ends, "DISCONNECT"))
}

func TestPaho5_SessionAndProperties(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		kept := &paho.Connect{KeepAlive: 30, Properties: &paho.ConnectProperties{SessionExpiryInterval: paho.Uint32(60)}}
		sub, ack := newFive(t, addr, "sub", kept)
		require.False(t, ack.SessionPresent)
		subscribed, err := sub.Subscribe(within(t), &paho.Subscribe{
			Properties:    &paho.SubscribeProperties{SubscriptionIdentifier: new(5)},
			Subscriptions: []paho.SubscribeOptions{{Topic: "a/+", QoS: 2}, {Topic: "$share/g/s", QoS: 1}},
		})
		require.NoError(t, err)
		require.Equal(t, []byte{2, 1}, subscribed.Reasons)
		pub, _ := newFive(t, addr, "pub", &paho.Connect{KeepAlive: 30, CleanStart: true})
		// The client acknowledges a message after it has given it out. When it gives out the last one, of
		// QoS 0, it has acknowledged all: nothing comes again.
		for _, qos := range []byte{2, 1, 0} {
			_, err := pub.Publish(within(t), &paho.Publish{
				Topic: "a/x", QoS: qos, Payload: []byte{'0' + qos},
				Properties: &paho.PublishProperties{
					ContentType: "text", ResponseTopic: "re", CorrelationData: []byte("c"), MessageExpiry: paho.Uint32(100),
					User: paho.UserProperties{{Key: "k", Value: "1"}, {Key: "k", Value: "2"}},
				},
			})
			require.NoError(t, err)
			m := sub.want(t, fmt.Sprint(qos))
			require.Equal(t, qos, m.QoS)
			require.Equal(t, "text", m.Properties.ContentType)
			require.Equal(t, "re", m.Properties.ResponseTopic)
			require.Equal(t, "c", string(m.Properties.CorrelationData))
			require.Equal(t, paho.UserProperties{{Key: "k", Value: "1"}, {Key: "k", Value: "2"}}, m.Properties.User)
			require.Equal(t, 5, *m.Properties.SubscriptionIdentifier)
			require.InDelta(t, 100, *m.Properties.MessageExpiry, 30)
		}
		require.NoError(t, sub.Disconnect(&paho.Disconnect{}))
		for _, topic := range []string{"a/y", "s"} {
			_, err := pub.Publish(within(t), &paho.Publish{Topic: topic, QoS: 1, Payload: []byte("queued")})
			require.NoError(t, err)
		}
		sub, ack = newFive(t, addr, "sub", kept)
		require.True(t, ack.SessionPresent)
		sub.want(t, "queued")
		sub.want(t, "queued")
		gone, err := sub.Unsubscribe(within(t), &paho.Unsubscribe{Topics: []string{"a/+", "none"}})
		require.NoError(t, err)
		require.Equal(t, []byte{0, packets.CodeNoSubscriptionExisted.Code}, gone.Reasons)
	})
}

// mute is a pinger that sends nothing.
type mute struct{}

func (mute) Run(ctx context.Context, _ net.Conn, _ uint16) error { <-ctx.Done(); return nil }
func (mute) PacketSent()                                         {}
func (mute) PacketReceived()                                     {}
func (mute) PingResp()                                           {}
func (mute) SetDebug(plog.Logger)                                {}

func TestPaho5_IsToldWhyItsConnectionEnds(t *testing.T) {
	t.Parallel()
	p := launch(t, 1)
	addr := p.addrs[0]
	first, _ := newFive(t, addr, "id", &paho.Connect{CleanStart: true})
	second, _ := newFive(t, addr, "id", &paho.Connect{CleanStart: true})
	first.wantEnd(t, packets.ErrSessionTakenOver)
	silent, _ := newFive(t, addr, "silent", &paho.Connect{CleanStart: true, KeepAlive: 1}, func(c *paho.ClientConfig) { c.PingHandler = mute{} })
	silent.wantEnd(t, packets.ErrKeepAliveTimeout)
	large, _ := newFive(t, addr, "large", &paho.Connect{CleanStart: true})
	_, _ = large.Publish(within(t), &paho.Publish{Topic: "a", Payload: []byte(strings.Repeat("x", maxPacket))})
	large.wantEnd(t, packets.ErrPacketTooLarge)
	p.stop(t)
	second.wantEnd(t, packets.ErrServerShuttingDown)
}

func TestMQTTJS_TalksToBothBrokers(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("testdata/mqttjs")
	require.NoError(t, err)
	node := tool(t, "node")
	if _, err := os.Stat(dir + "/node_modules/mqtt"); err != nil {
		require.Empty(t, os.Getenv("CI"), "MQTT.js is not installed")
		fmt.Fprintln(os.Stderr, "*** LEFT OUT: MQTT.js is not installed: run npm install in examples/mqtt/testdata/mqttjs ***")
		t.Skip("MQTT.js is not installed")
	}
	both(t, func(t *testing.T, addr string) {
		args := []string{"check.mjs", addr}
		if isMosquitto(t) {
			args = append(args, "mosquitto")
		}
		cmd := exec.CommandContext(within(t), node, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
}
