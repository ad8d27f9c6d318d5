package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// versions runs f with both versions of the protocol against both brokers.
func versions(t *testing.T, f func(t *testing.T, addr string, version byte)) {
	both(t, func(t *testing.T, addr string) {
		t.Run("3.1.1", func(t *testing.T) { f(t, addr, 4) })
		t.Run("5", func(t *testing.T) { f(t, addr, 5) })
	})
}

func TestQoS_EachLevelHasItsHandshake(t *testing.T) {
	versions(t, func(t *testing.T, addr string, version byte) {
		sub, _ := login(t, addr, version, "sub")
		sub.subscribe(2, "a/+")
		pub, _ := login(t, addr, version, "pub")
		pub.send(packets.Publish, msg(0, "a/b", "0"))
		require.Zero(t, sub.wantMessage("a/b", "0").FixedHeader.Qos)
		pub.send(packets.Publish, msg(1, "a/b", "1"))
		pub.want(packets.Puback)
		m := sub.wantMessage("a/b", "1")
		require.EqualValues(t, 1, m.FixedHeader.Qos)
		sub.ack(packets.Puback, m)
		pub.send(packets.Publish, msg(2, "a/b", "2"))
		pub.want(packets.Pubrec)
		again := msg(2, "a/b", "2")
		again.FixedHeader.Dup = true
		pub.send(packets.Publish, again)
		pub.want(packets.Pubrec)
		pub.ack(packets.Pubrel, again)
		pub.want(packets.Pubcomp)
		m = sub.wantMessage("a/b", "2")
		require.EqualValues(t, 2, m.FixedHeader.Qos)
		sub.ack(packets.Pubrec, m)
		require.Equal(t, m.PacketID, sub.want(packets.Pubrel).PacketID)
		sub.ack(packets.Pubcomp, m)
		sub.ping() // and nothing came twice
	})
}

func TestSession_OutlivesItsConnectionWithWhatWasNotAcknowledged(t *testing.T) {
	versions(t, func(t *testing.T, addr string, version byte) {
		id := fmt.Sprint("sub", version)
		sub, ack := login(t, addr, version, id, keeps(60))
		require.False(t, ack.SessionPresent)
		sub.subscribe(2, "a")
		pub, _ := login(t, addr, version, "pub")
		for qos := range byte(3) {
			pub.send(packets.Publish, msg(qos, "a", "sent"))
		}
		sub.wantMessage("a", "sent")
		require.False(t, sub.wantMessage("a", "sent").FixedHeader.Dup)
		pub.want(packets.Puback)
		pub.want(packets.Pubrec)
		pub.ack(packets.Pubrel, msg(2, "", ""))
		pub.want(packets.Pubcomp)
		m := sub.wantMessage("a", "sent")
		sub.ack(packets.Pubrec, m)
		sub.want(packets.Pubrel)
		require.NoError(t, sub.Close())
		pub.send(packets.Publish, msg(1, "a", "queued"))
		pub.want(packets.Puback)

		sub, ack = login(t, addr, version, id, keeps(60))
		require.True(t, ack.SessionPresent)
		first := sub.wantMessage("a", "sent")
		require.True(t, first.FixedHeader.Dup)
		sub.ack(packets.Puback, first)
		require.Equal(t, m.PacketID, sub.want(packets.Pubrel).PacketID)
		sub.ack(packets.Pubcomp, m)
		sub.ack(packets.Puback, sub.wantMessage("a", "queued"))
		sub.ping()
		sub.send(packets.Disconnect, packets.Packet{})
		sub.wantEnd()

		_, ack = login(t, addr, version, id)
		require.False(t, ack.SessionPresent, "a clean start ends the session")
		_, ack = login(t, addr, version, id, keeps(60))
		require.False(t, ack.SessionPresent)
	})
}

func TestTakeover_TellsTheFirstClientAndKeepsTheSession(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		first, _ := login(t, addr, 5, "id", keeps(60))
		first.subscribe(1, "a")
		second, ack := login(t, addr, 5, "id", keeps(60))
		require.True(t, ack.SessionPresent)
		if code := first.wantEnd(); !isMosquitto(t) { // which closes the connection without a DISCONNECT
			require.Equal(t, packets.ErrSessionTakenOver.Code, code)
		}
		second.send(packets.Publish, msg(1, "a", "x"))
		kinds := map[byte]bool{}
		for range 2 {
			pk, err := second.read()
			require.NoError(t, err)
			kinds[pk.FixedHeader.Type] = true
		}
		require.Equal(t, map[byte]bool{packets.Puback: true, packets.Publish: true}, kinds)
	})
}

// Clients with one ID log in and leave at the same time. The last one keeps the session, which does
// not expire.
func TestTakeover_OfManyAtTheSameTimeLeavesOne(t *testing.T) {
	b, addr := inProcess(t)
	const clients = 10
	for round := range 20 {
		peers := make([]*peer, clients)
		var all sync.WaitGroup
		for i := range peers {
			peers[i] = dial(t, addr, 5)
			all.Go(func() {
				p := peers[i]
				pk := packets.Packet{Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "id"}}
				keeps(uint32(round % 3))(&pk)
				pk.Connect.Clean = i%4 == 3
				_, _ = p.Write(p.encoded(packets.Connect, pk))
				_, _ = p.read() // if another takes over just now, this is no CONNACK
				if i%3 == 2 {
					_, _ = p.Write(p.encoded(packets.Disconnect, packets.Packet{}))
				}
			})
		}
		all.Wait()
		_, _ = login(t, addr, 5, "id", keeps(60))
		for _, p := range peers {
			p.wantEnd()
		}
		require.Equal(t, 1, b.sessions.Len())
		e, _ := b.sessions.Get("id")
		_, expires := e.Deadline()
		require.False(t, expires)
	}
}

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
			p, _ := login(t, addr, 5, tt.name, keepAlive(2))
			p.ping()
			start := time.Now()
			if tt.send {
				whole := p.encoded(packets.Publish, msg(0, "a", strings.Repeat("x", 1000)))
				repeat(t, func(i int) { _, _ = p.Write(whole[i : i+1]) }) // the connection may be closed already
			}
			require.Equal(t, packets.ErrKeepAliveTimeout.Code, p.wantEnd())
			require.GreaterOrEqual(t, time.Since(start), 2900*time.Millisecond)
			require.Less(t, time.Since(start), 10*time.Second) // on a busy machine it may be late
		})
	}
	t.Run("pings", func(t *testing.T) {
		t.Parallel()
		p, _ := login(t, addr, 5, "pings", keepAlive(1))
		for range 5 {
			time.Sleep(time.Second)
			p.ping()
		}
	})
	t.Run("receives", func(t *testing.T) {
		t.Parallel()
		p, _ := login(t, addr, 5, "receives", keepAlive(1))
		p.subscribe(0, "b")
		pub, _ := login(t, addr, 5, "sends")
		start := time.Now()
		m := pub.encoded(packets.Publish, msg(0, "b", ""))
		repeat(t, func(int) { _, _ = pub.Write(m) })
		require.Equal(t, packets.ErrKeepAliveTimeout.Code, p.wantEnd(), "what a client receives says nothing about it")
		require.Less(t, time.Since(start), 20*time.Second)
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
	both(t, func(t *testing.T, addr string) {
		watch, _ := login(t, addr, 5, "watch")
		watch.subscribe(1, "will/#")
		leave := func(code byte) func(*peer) {
			return func(p *peer) {
				p.send(packets.Disconnect, packets.Packet{ReasonCode: code})
				p.wantEnd()
			}
		}
		lose := func(p *peer) { _ = p.Close() }
		back := func(*peer) { login(t, addr, 5, "willing", keeps(60)) }
		const never = -1
		for _, tt := range []struct {
			name             string
			delay, session   uint32
			end              func(*peer)
			after, mosquitto time.Duration // until the will comes, from this broker and from mosquitto
		}{
			{"disconnect", 0, 0, leave(0), never, never},
			{"disconnect with will", 0, 0, leave(packets.CodeDisconnectWillMessage.Code), 0, 0},
			{"lost", 0, 60, lose, 0, 0},
			{"lost, after a delay", 2, 60, lose, 2 * time.Second, 2 * time.Second},
			{"lost, and the session ends before the delay", 60, 2, lose, 2 * time.Second, 2 * time.Second},
			{"lost, and the session ends with the connection", 8, 0, lose, 0, 8 * time.Second},
			{"taken over", 0, 60, back, 0, never},
			{"back within the delay", 2, 60, back, never, never},
		} {
			t.Run(tt.name, func(t *testing.T) {
				after := tt.after
				if isMosquitto(t) {
					after = tt.mosquitto
				}
				login(t, addr, 5, "willing") // clean
				p, _ := login(t, addr, 5, "willing", keeps(tt.session), will("will/"+tt.name, tt.delay))
				start := time.Now()
				tt.end(p)
				if after == never {
					watch.wantSilence(3 * time.Second)
					return
				}
				watch.wantMessage("will/"+tt.name, "will")
				took := time.Since(start)
				require.GreaterOrEqual(t, took, after-100*time.Millisecond)
				require.Less(t, took, after+5*time.Second)
			})
		}
	})
}

func TestSessionExpiry_EndsADetachedSession(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	p, _ := login(t, addr, 5, "id", keeps(3))
	time.Sleep(4 * time.Second) // while the client is connected, the session does not expire
	p.ping()
	require.NoError(t, p.Close())
	p, ack := login(t, addr, 5, "id", keeps(3))
	require.True(t, ack.SessionPresent)
	p.send(packets.Disconnect, packets.Packet{})
	p.wantEnd()
	time.Sleep(4 * time.Second)
	_, ack = login(t, addr, 5, "id", keeps(3))
	require.False(t, ack.SessionPresent)
}

// Clients come back in the moment in which their sessions expire: each has its session, with its
// subscription, or a new one.
func TestSessionExpiry_IsDecidedAgainstAClientThatComesBack(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	const clients = 40
	var left [clients]time.Time
	for i := range left {
		id := fmt.Sprint("client", i)
		p, _ := login(t, addr, 5, id, keeps(1))
		p.subscribe(1, id)
		p.send(packets.Disconnect, packets.Packet{})
		p.wantEnd()
		left[i] = time.Now()
	}
	var back []*peer
	kept := 0
	for i, left := range left {
		id := fmt.Sprint("client", i)
		time.Sleep(time.Until(left.Add(time.Second + time.Duration(i%15-5)*2*time.Millisecond)))
		p, ack := login(t, addr, 5, id, keeps(1))
		p.send(packets.Publish, msg(1, id, "x"))
		if ack.SessionPresent {
			kept++
			p.want(packets.Puback)
			p.ack(packets.Puback, p.wantMessage(id, "x"))
		} else {
			p.want(packets.Puback)
		}
		back = append(back, p)
	}
	time.Sleep(1500 * time.Millisecond) // what was decided stays
	for _, p := range back {
		p.ping()
	}
	t.Log(kept, "of", clients, "were in time")
}

func TestRetained_IsSentToNewSubscribers(t *testing.T) {
	versions(t, func(t *testing.T, addr string, version byte) {
		pub, _ := login(t, addr, version, "pub")
		for _, payload := range []string{"old", "new"} {
			m := msg(1, "r/x", payload)
			m.FixedHeader.Retain = true
			pub.send(packets.Publish, m)
			pub.want(packets.Puback)
		}
		sub, _ := login(t, addr, version, "sub")
		sub.subscribe(0, "r/#")
		require.True(t, sub.wantMessage("r/x", "new").FixedHeader.Retain)
		pub.send(packets.Publish, msg(0, "r/x", "live"))
		require.False(t, sub.wantMessage("r/x", "live").FixedHeader.Retain)
		m := msg(1, "r/x", "")
		m.FixedHeader.Retain = true
		pub.send(packets.Publish, m)
		sub.wantMessage("r/x", "")
		late, _ := login(t, addr, version, "late")
		late.subscribe(0, "r/#")
		late.ping()
	})
}

func TestSharedSubscription_GivesEachMessageToOneMember(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		a, _ := login(t, addr, 5, "a")
		a.subscribe(0, "$share/g/s/+")
		b, _ := login(t, addr, 5, "b")
		b.subscribe(0, "$share/g/s/+")
		if !isMosquitto(t) { // which gives it a part of them
			away, _ := login(t, addr, 5, "away", keeps(60))
			away.subscribe(0, "$share/g/s/+")
			away.send(packets.Disconnect, packets.Packet{})
			away.wantEnd()
		}
		pub, _ := login(t, addr, 5, "pub")
		const n = 100
		for range n {
			pub.send(packets.Publish, msg(0, "s/x", "x"))
		}
		pub.ping()
		got := 0
		for _, p := range []*peer{a, b} {
			p.send(packets.Pingreq, packets.Packet{})
			mine := 0
			for pk, err := p.read(); pk.FixedHeader.Type != packets.Pingresp; pk, err = p.read() {
				require.NoError(t, err)
				mine++
			}
			require.NotZero(t, mine)
			got += mine
		}
		require.Equal(t, n, got)
	})
}

func TestReceiveMaximum_BoundsWhatIsSentAtTheSameTime(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		sub, _ := login(t, addr, 5, "sub", func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 2 })
		sub.subscribe(1, "a")
		pub, _ := login(t, addr, 5, "pub")
		for range 3 {
			pub.send(packets.Publish, msg(1, "a", "x"))
			pub.want(packets.Puback)
		}
		first := sub.wantMessage("a", "x")
		sub.wantMessage("a", "x")
		sub.wantSilence(300 * time.Millisecond)
		sub.ack(packets.Puback, first)
		sub.wantMessage("a", "x")
	})
}

func TestReceiveMaximum_OfTheBrokerHolds(t *testing.T) {
	p, ack := login(t, ours(t), 5, "id")
	for id := range ack.Properties.ReceiveMaximum + 1 {
		m := msg(2, "a", "x")
		m.PacketID = id + 1
		p.send(packets.Publish, m)
	}
	require.Equal(t, packets.ErrReceiveMaximum.Code, p.wantEnd())
}

func TestTopicAlias_HoldsForOneConnectionInEachDirection(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		sub, _ := login(t, addr, 5, "sub", func(pk *packets.Packet) { pk.Properties.TopicAliasMaximum = 1 })
		sub.subscribe(0, "#")
		pub, ack := login(t, addr, 5, "pub")
		require.EqualValues(t, maxAliases, ack.Properties.TopicAliasMaximum)
		m := msg(0, "a", "x")
		m.Properties.TopicAlias, m.Properties.TopicAliasFlag = maxAliases, true
		pub.send(packets.Publish, m)
		sub.wantMessage("a", "x")
		m.TopicName = ""
		pub.send(packets.Publish, m)
		got := sub.want(packets.Publish)
		require.Equal(t, "x", string(got.Payload))
		pub, _ = login(t, addr, 5, "pub")
		pub.send(packets.Publish, m)
		require.NotZero(t, pub.wantEnd())
	})
}

func TestMaximumPacketSize_OfAClientHolds(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		sub, _ := login(t, addr, 5, "sub", func(pk *packets.Packet) { pk.Properties.MaximumPacketSize = 64 })
		sub.subscribe(1, "a")
		pub, _ := login(t, addr, 5, "pub")
		for _, payload := range []string{strings.Repeat("x", 64), "small"} {
			pub.send(packets.Publish, msg(1, "a", payload))
			pub.want(packets.Puback)
		}
		sub.wantMessage("a", "small")
	})
}

func TestTopics_WildcardsMatchWholeLevels(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		pub, _ := login(t, addr, 5, "pub")
		for i, tt := range []struct{ filter, matches, not string }{
			{"a/b", "a/b", "a a/b/c A/b /a/b a/b/"},
			{"a/+", "a/b a/", "a a/b/c /a"},
			{"+/+", "a/b / /a", "a $a/b"},
			{"a/#", "a a/ a/b a/b/c", "b /a"},
			{"#", "a a/b /", "$a $a/b"},
			{"+/b", "a/b", "$a/b"},
			{"$a/#", "$a $a/b", "a"},
			{"$a/+", "$a/b", "$a"},
			{"+", "a", "$a a/"},
			{"a/+/+/#", "a/b/c a/b/c/d", "a/b"},
		} {
			sub, _ := login(t, addr, 5, fmt.Sprint("sub", i))
			sub.subscribe(0, tt.filter)
			for _, topic := range append(strings.Fields(tt.not), strings.Fields(tt.matches)...) {
				pub.send(packets.Publish, msg(0, topic, topic))
			}
			for _, topic := range strings.Fields(tt.matches) {
				sub.wantMessage(topic, topic)
			}
			pub.ping()
			sub.ping()
		}
		sub, _ := login(t, addr, 5, "sub")
		pk := packets.Packet{PacketID: 1}
		for _, f := range []string{"", "a+", "a/#/b", "#a", "$share//a", "$share/g/", "$share/g+/a"} {
			if isMosquitto(t) && strings.HasPrefix(f, "$share/") {
				continue // it accepts some of these
			}
			pk.Filters = packets.Subscriptions{{Filter: f}}
			sub.send(packets.Subscribe, pk)
			answer, err := sub.read()
			if err != nil || answer.FixedHeader.Type == packets.Disconnect { // allowed as well
				sub, _ = login(t, addr, 5, "sub")
				continue
			}
			require.GreaterOrEqual(t, answer.ReasonCodes[0], byte(0x80), f)
		}
	})
}

func TestMessageExpiry_CountsWhileTheMessageWaits(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		sub, _ := login(t, addr, 5, "sub", keeps(60))
		sub.subscribe(1, "a")
		sub.send(packets.Disconnect, packets.Packet{})
		sub.wantEnd()
		pub, _ := login(t, addr, 5, "pub")
		for _, seconds := range []uint32{1, 60} {
			m := msg(1, "a", fmt.Sprint(seconds))
			m.Properties.MessageExpiryInterval = seconds
			pub.send(packets.Publish, m)
			pub.want(packets.Puback)
		}
		time.Sleep(2500 * time.Millisecond)
		sub, _ = login(t, addr, 5, "sub", keeps(60))
		left := sub.wantMessage("a", "60").Properties.MessageExpiryInterval
		require.Less(t, left, uint32(59))
		require.Greater(t, left, uint32(20))
	})
}

func TestOrder_OfPacketsThatArriveTogether(t *testing.T) {
	both(t, func(t *testing.T, addr string) {
		p, _ := login(t, addr, 5, "id")
		subscribe := packets.Packet{PacketID: 1, Filters: packets.Subscriptions{{Filter: "a"}}}
		_, err := p.Write(slices.Concat(p.encoded(packets.Publish, msg(0, "a", "before")), p.encoded(packets.Subscribe, subscribe),
			p.encoded(packets.Publish, msg(0, "a", "after")), p.encoded(packets.Pingreq, packets.Packet{})))
		require.NoError(t, err)
		p.want(packets.Suback)
		for range 2 {
			pk, err := p.read()
			require.NoError(t, err)
			require.Contains(t, []byte{packets.Publish, packets.Pingresp}, pk.FixedHeader.Type)
			require.NotEqual(t, "before", string(pk.Payload))
		}
	})
}

// Many publishers post to the same client at the same time.
func TestManyPublishers_LoseNothing(t *testing.T) {
	addr := ours(t)
	sub, _ := login(t, addr, 4, "sub")
	sub.subscribe(0, "m/+")
	const publishers, each = 8, 1000
	var done sync.WaitGroup
	for i := range publishers {
		pub, _ := login(t, addr, 4, fmt.Sprint("pub", i))
		m := pub.encoded(packets.Publish, msg(0, fmt.Sprint("m/", i), "x"))
		done.Go(func() {
			for range each / 4 {
				_, _ = pub.Write(bytes.Repeat(m, 4))
			}
		})
	}
	for range publishers * each {
		sub.want(packets.Publish)
	}
	done.Wait()
	sub.ping()
}

// inProcess starts a broker in the test's process and returns it with its address.
func inProcess(t *testing.T) (b *broker, addr string) {
	t.Helper()
	b, err := newBroker(t.Context(), settings{})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }() // ends with shutdown
	t.Cleanup(func() {
		require.NoError(t, b.shutdown(context.Background()))
		require.ErrorIs(t, <-served, tcp.ErrServerClosed)
	})
	return b, l.Addr().String()
}

// The longest delay is 136 years: when the session ends first, its timer must not stay.
func TestWillDelay_EndsWithTheSession(t *testing.T) {
	b, addr := inProcess(t)
	p, _ := login(t, addr, 5, "id", will("will", math.MaxUint32))
	require.NoError(t, p.Close())
	require.Eventually(t, func() bool { return b.sessions.Len()+b.Wheel.Len() == 0 }, patience, 10*time.Millisecond)
}

func TestWillDelay_ThatEndsAsTheClientComesBackPublishesNothing(t *testing.T) {
	b, addr := inProcess(t)
	watch, _ := login(t, addr, 5, "watch")
	watch.subscribe(0, "will")
	p, _ := login(t, addr, 5, "id", keeps(60), will("will", 60))
	e, _ := b.sessions.Get("id")
	s := e.Conn()
	require.NoError(t, p.Close())
	var w *message
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		w = s.due
		return w != nil
	}, patience, 10*time.Millisecond)
	login(t, addr, 5, "id", keeps(60))
	s.publishWill(w) // by the timer, which had just fired
	watch.ping()
}
