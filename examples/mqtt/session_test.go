package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

func TestSession_OutlivesItsConnectionWithWhatWasNotAcknowledged(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

func TestSessionExpiry_EndsADetachedSession(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	p, _ := login(t, addr, 5, "id", keeps(8))
	time.Sleep(9 * time.Second) // while the client is connected, the session does not expire
	p.ping()
	require.NoError(t, p.Close())
	p, ack := login(t, addr, 5, "id", keeps(3))
	require.True(t, ack.SessionPresent)
	p.send(packets.Disconnect, packets.Packet{})
	p.wantEnd()
	time.Sleep(8 * time.Second)
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
			p.ack(packets.Puback, p.wantMessage(id, "x"))
			p.want(packets.Puback)
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
