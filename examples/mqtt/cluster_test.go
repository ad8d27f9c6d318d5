package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster/embedded"
)

func TestCluster_AClientHasOneSessionOnThreeNodes(t *testing.T) {
	nats, err := embedded.Start(embedded.Config{Addr: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, nats.Close()) })
	var nodes []string
	start := func() {
		p := launch(t, 1, "--cluster", nats.URL(), "--node", fmt.Sprint("n", len(nodes)))
		t.Cleanup(func() { p.stop(t) })
		nodes = append(nodes, p.addrs[0])
	}
	start()
	start()
	a, b := nodes[0], nodes[1]

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

	start() // a third node, which has the session and what is retained
	c := nodes[2]
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
