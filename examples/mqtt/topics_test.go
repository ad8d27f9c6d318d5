package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

func TestRetained_IsSentToNewSubscribers(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

func TestTopics_WildcardsMatchWholeLevels(t *testing.T) {
	t.Parallel()
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
