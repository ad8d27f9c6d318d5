package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster/embedded"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// startCluster returns a function that starts a node of a new cluster and returns its address.
func startCluster(t *testing.T) (node func(name string) (addr string)) {
	nats, err := embedded.Start(embedded.Config{Addr: loopback.Host() + ":0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, nats.Close()) })
	return func(name string) string { return ours(t, "--cluster", nats.URL(), "--node", name) }
}

func TestCluster_AClientHasOneSessionOnThreeNodes(t *testing.T) {
	t.Parallel()
	node := startCluster(t)
	a, b := node("a"), node("b")

	watch, _ := login(t, a, 5, "watch")
	watch.subscribe(1, "will", "a/#")
	sub, _ := login(t, a, 5, "id", keeps(60), will("will", 0))
	sub.subscribe(1, "a/#")
	pub, _ := login(t, b, 5, "pub")
	publish := func(qos byte, topic, payload string, retain bool) {
		m := msg(qos, topic, payload)
		m.FixedHeader.Retain = retain
		pub.send(packets.Publish, m)
		if qos > 0 {
			pub.want(packets.Puback)
		}
	}
	publish(0, "a/0", "x", true)
	watch.wantMessage("a/0", "x")
	sub.wantMessage("a/0", "x")
	publish(1, "a/1", "x", false)
	watch.ack(packets.Puback, watch.wantMessage("a/1", "x"))
	sub.wantMessage("a/1", "x") // it is not acknowledged

	there, ack := login(t, b, 5, "id", keeps(60))
	require.True(t, ack.SessionPresent)
	require.Equal(t, packets.ErrSessionTakenOver.Code, sub.wantEnd())
	again := there.wantMessage("a/1", "x")
	require.True(t, again.FixedHeader.Dup)
	there.ack(packets.Puback, again)
	watch.ack(packets.Puback, watch.wantMessage("will", "will"))
	publish(1, "a/2", "x", false)
	there.ack(packets.Puback, there.wantMessage("a/2", "x"))
	watch.ack(packets.Puback, watch.wantMessage("a/2", "x"))
	there.send(packets.Disconnect, packets.Packet{})
	there.wantEnd()
	publish(1, "a/3", "queued", false)
	watch.ack(packets.Puback, watch.wantMessage("a/3", "queued"))

	c := node("c") // which gets the session and what is retained
	late, ack := login(t, c, 5, "id", keeps(60))
	require.True(t, ack.SessionPresent)
	late.ack(packets.Puback, late.wantMessage("a/3", "queued"))
	require.Eventually(t, func() bool {
		p, _ := login(t, c, 5, "reader")
		p.subscribe(0, "a/0")
		p.send(packets.Pingreq, packets.Packet{})
		pk, err := p.read()
		require.NoError(t, err)
		return pk.FixedHeader.Type == packets.Publish && pk.FixedHeader.Retain
	}, patience, 20*time.Millisecond)

	clean, ack := login(t, a, 5, "id")
	require.False(t, ack.SessionPresent)
	require.Equal(t, packets.ErrSessionTakenOver.Code, late.wantEnd())
	publish(1, "a/4", "x", false)
	watch.ack(packets.Puback, watch.wantMessage("a/4", "x"))
	clean.ping()
}

// A session moves while its client subscribes. The other node must have each subscription that
// was acknowledged: this one disconnects the client before it records the session.
func TestCluster_ASessionThatMovesLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	node := startCluster(t)
	a, b := node("a"), node("b")
	p, _ := login(t, a, 5, "id", keeps(60))
	var many []string // so that it takes a while to record the session
	for i := range 5000 {
		many = append(many, fmt.Sprint("many/", i))
	}
	p.subscribe(0, many...)
	filter := func(i int) string { return fmt.Sprint("one/", i) }
	go func() { // ends with the connection
		for i := range 20_000 { // more than it comes to
			pk := packets.Packet{PacketID: 1, Filters: packets.Subscriptions{{Filter: filter(i)}}}
			if _, err := p.Write(p.encoded(packets.Subscribe, pk)); err != nil {
				return
			}
		}
	}()
	for range 100 {
		p.want(packets.Suback)
	}
	there := connect(t, b, 5, "id", keeps(60))
	last := 99
	for pk, err := p.read(); err == nil; pk, err = p.read() {
		if pk.FixedHeader.Type == packets.Suback {
			last++
		}
	}
	require.True(t, there.want(packets.Connack).SessionPresent)
	there.send(packets.Publish, msg(0, filter(last), "x"))
	there.send(packets.Pingreq, packets.Packet{}) // so that a message that is missing is noticed at once
	there.wantMessage(filter(last), "x")
	t.Log(last+1, "subscriptions were acknowledged")
}
