package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

// versions runs f with both versions of the protocol against both brokers.
func versions(t *testing.T, f func(t *testing.T, addr string, version byte)) {
	both(t, func(t *testing.T, addr string) {
		t.Run("3.1.1", func(t *testing.T) { f(t, addr, 4) })
		t.Run("5", func(t *testing.T) { f(t, addr, 5) })
	})
}

func TestQoS_EachLevelHasItsHandshake(t *testing.T) {
	t.Parallel()
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

func TestReceiveMaximum_BoundsWhatIsSentAtTheSameTime(t *testing.T) {
	t.Parallel()
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

// Only against this broker: mosquitto sends all of it at once.
func TestReceiveMaximum_BoundsWhatIsSentAgain(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	sub, _ := login(t, addr, 5, "sub", keeps(60))
	sub.subscribe(1, "a")
	pub, _ := login(t, addr, 5, "pub")
	for i := range 3 {
		pub.send(packets.Publish, msg(1, "a", fmt.Sprint(i)))
		pub.want(packets.Puback)
		sub.wantMessage("a", fmt.Sprint(i)) // it is not acknowledged
	}
	sub, _ = login(t, addr, 5, "sub", keeps(60), func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 1 })
	for i := range 3 {
		m := sub.wantMessage("a", fmt.Sprint(i))
		require.True(t, m.FixedHeader.Dup)
		sub.wantSilence(300 * time.Millisecond)
		sub.ack(packets.Puback, m)
	}
	sub.ping()
}

func TestReceiveMaximum_OfTheBrokerHolds(t *testing.T) {
	t.Parallel()
	p, ack := login(t, ours(t), 5, "id")
	for id := range ack.Properties.ReceiveMaximum + 1 {
		m := msg(2, "a", "x")
		m.PacketID = id + 1
		p.send(packets.Publish, m)
	}
	require.Equal(t, packets.ErrReceiveMaximum.Code, p.wantEnd())
}

func TestTopicAlias_HoldsForOneConnectionInEachDirection(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

func TestMessageExpiry_CountsWhileTheMessageWaits(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
