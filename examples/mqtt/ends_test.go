package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

// repeat calls f every 100 ms, with the number of calls before, until the test ends.
func repeat(t *testing.T, f func(i int)) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				f(i)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
}

// Only against this broker: mosquitto looks every few seconds.
func TestKeepAlive_EndsASilentClientAfterOneAndAHalf(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	for _, tt := range []struct {
		name string
		send bool
	}{
		{"silent", false},
		{"sends a packet byte by byte", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			p, _ := login(t, addr, 5, tt.name, keepAlive(2))
			if tt.send {
				whole := p.encoded(packets.Publish, msg(0, "a", strings.Repeat("x", 1000)))
				repeat(t, func(i int) { _, _ = p.Write(whole[i : i+1]) }) // the connection may be closed already
			}
			require.Equal(t, packets.ErrKeepAliveTimeout.Code, p.wantEnd())
			require.GreaterOrEqual(t, time.Since(start), 2900*time.Millisecond)
			require.Less(t, time.Since(start), 20*time.Second) // on a busy machine it may be late
		})
	}
	t.Run("pings", func(t *testing.T) {
		t.Parallel()
		p, _ := login(t, addr, 5, "pings", keepAlive(10))
		for range 5 {
			time.Sleep(4 * time.Second)
			p.ping()
		}
	})
	t.Run("receives", func(t *testing.T) {
		t.Parallel()
		p, _ := login(t, addr, 5, "receives", keepAlive(6))
		p.subscribe(0, "b")
		pub, _ := login(t, addr, 5, "sends")
		start := time.Now()
		m := pub.encoded(packets.Publish, msg(0, "b", ""))
		repeat(t, func(int) { _, _ = pub.Write(m) })
		require.Equal(t, packets.ErrKeepAliveTimeout.Code, p.wantEnd(), "what a client receives says nothing about it")
		require.Less(t, time.Since(start), 45*time.Second)
	})
}

func TestServerKeepAlive_IsToldAndHolds(t *testing.T) {
	t.Parallel()
	addr := ours(t, "--max-keep-alive", "1")
	p, ack := login(t, addr, 5, "id")
	require.True(t, ack.Properties.ServerKeepAliveFlag)
	require.EqualValues(t, 1, ack.Properties.ServerKeepAlive)
	require.Equal(t, packets.ErrKeepAliveTimeout.Code, p.wantEnd())
}

func TestOversizePacket_IsRefusedBeforeItArrives(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		p, ack := login(t, addr, 5, "id")
		require.EqualValues(t, maxPacket, ack.Properties.MaximumPacketSize)
		largest := msg(0, "a", strings.Repeat("x", maxPacket-8))
		require.Len(t, p.encoded(packets.Publish, largest), maxPacket)
		p.send(packets.Publish, largest)
		p.ping()
		tooLarge := []byte{packets.Publish << 4, 0xfd, 0xff, 0x3f} // by one
		if isMosquitto(t) {
			tooLarge = []byte{packets.Publish << 4, 0x80, 0x80, 0x40} // it does not count the length itself
		}
		_, err := p.Write(tooLarge)
		require.NoError(t, err)
		require.Equal(t, packets.ErrPacketTooLarge.Code, p.wantEnd())
	})
}

func TestShutdown_IsTold(t *testing.T) {
	t.Parallel()
	p := launch(t, 1)
	new5, _ := login(t, p.addrs[0], 5, "5")
	old, _ := login(t, p.addrs[0], 4, "4")
	p.stop(t)
	require.Equal(t, packets.ErrServerShuttingDown.Code, new5.wantEnd())
	require.Zero(t, old.wantEnd())
}

func TestMalformedPacket_EndsOneSession(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	watch, _ := login(t, addr, 5, "watch")
	for name, input := range map[string]string{
		"a SUBSCRIBE without its options, on which the codec panics": "\x82\x06\x00\x01\x00\x00\x01a",
		"a subscription identifier without its bytes":                "\x82\x04\x00\x01\x01\x0b",
		"a length of five bytes":                                     "\x30\x80\x80\x80\x80\x01",
		"a length of five bytes that is 0":                           "\x30\x80\x80\x80\x80\x00",
		"an unknown type":                                            "\x00\x00",
		"a CONNACK":                                                  "\x20\x02\x00\x00",
		"wrong flags":                                                "\x83\x00",
		"both bits of QoS":                                           "\x36\x05\x00\x01a\x00\x01",
		"a properties' length beyond the end":                        "\x30\x04\x00\x01a\x7f",
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := login(t, addr, 5, "id")
			_, err := p.Write([]byte(input))
			require.NoError(t, err)
			p.wantEnd()
		})
		watch.ping()
	}
	p, _ := login(t, addr, 5, "id")
	p.send(packets.Connect, packets.Packet{Connect: packets.ConnectParams{ProtocolName: []byte("MQTT")}})
	require.Equal(t, packets.ErrProtocolViolation.Code, p.wantEnd())
	p = dial(t, addr, 5)
	p.send(packets.Pingreq, packets.Packet{})
	require.Zero(t, p.wantEnd())
	watch.ping()
}

func TestWill_DependsOnHowTheConnectionEnded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		leave := func(code byte) func(*peer, string) {
			return func(p *peer, _ string) {
				p.send(packets.Disconnect, packets.Packet{ReasonCode: code})
				p.wantEnd()
			}
		}
		lose := func(p *peer, _ string) { _ = p.Close() }
		back := func(_ *peer, id string) { login(t, addr, 5, id, keeps(60)) }
		const never = -1
		for _, tt := range []struct {
			name             string
			delay, session   uint32
			end              func(p *peer, id string)
			after, mosquitto time.Duration // until the will comes, from this broker and from mosquitto
		}{
			{"disconnect", 0, 0, leave(0), never, never},
			{"disconnect with will", 0, 0, leave(packets.CodeDisconnectWillMessage.Code), 0, 0},
			{"lost", 0, 60, lose, 0, 0},
			{"lost, after a delay", 2, 60, lose, 2 * time.Second, 2 * time.Second},
			{"lost, and the session ends before the delay", 60, 2, lose, 2 * time.Second, 2 * time.Second},
			{"lost, and the session ends with the connection", 20, 0, lose, 0, 20 * time.Second},
			{"taken over", 0, 60, back, 0, never},
			{"back within the delay", 2, 60, back, never, never},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				after := tt.after
				if isMosquitto(t) {
					after = tt.mosquitto
				}
				watch, _ := login(t, addr, 5, "watch "+tt.name)
				watch.subscribe(1, "will/"+tt.name)
				p, _ := login(t, addr, 5, tt.name, keeps(tt.session), will("will/"+tt.name, tt.delay))
				start := time.Now()
				tt.end(p, tt.name)
				if after == never {
					watch.wantSilence(3 * time.Second)
					return
				}
				watch.wantMessage("will/"+tt.name, "will")
				took := time.Since(start)
				require.GreaterOrEqual(t, took, after-100*time.Millisecond)
				require.Less(t, took, after+15*time.Second)
			})
		}
	})
}

// inProcess starts a broker in the test's process and returns it with its address.
func inProcess(t *testing.T) (b *broker, addr string) {
	t.Helper()
	b, err := newBroker(t.Context(), new(flags))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- errors.Join(b.Run(ctx, l), b.close()) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ran)
	})
	return b, l.Addr().String()
}

// The longest delay is 136 years: when the session ends first, its timer must not stay.
func TestWillDelay_EndsWithTheSession(t *testing.T) {
	t.Parallel()
	b, addr := inProcess(t)
	p, _ := login(t, addr, 5, "id", will("will", math.MaxUint32))
	require.NoError(t, p.Close())
	require.Eventually(t, func() bool { return b.sessions.Len()+b.Wheel.Len() == 0 }, patience, 10*time.Millisecond)
}

func TestWillDelay_ThatEndsWithTheSessionPublishesTheWillOnce(t *testing.T) {
	t.Parallel()
	b, addr := inProcess(t)
	watch, _ := login(t, addr, 5, "watch")
	watch.subscribe(0, "will/+")
	const n = 100
	for i := range n {
		p, _ := login(t, addr, 5, fmt.Sprint("id", i), keeps(1), will(fmt.Sprint("will/", i), 1))
		require.NoError(t, p.Close())
	}
	seen := make(map[string]bool)
	for range n {
		topic := watch.want(packets.Publish).TopicName
		require.False(t, seen[topic], topic)
		seen[topic] = true
	}
	require.Eventually(t, func() bool { return b.sessions.Len() == 1 }, patience, 10*time.Millisecond)
	watch.ping() // nothing else has come
}
