package main

import (
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

func TestStore_KeepsSessionsAndRetainedMessages(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *process){
		"over a restart": func(t *testing.T, p *process) { p.stop(t) },
		"over a crash": func(t *testing.T, p *process) {
			time.Sleep(8 * time.Second) // changes are written after a second
			require.NoError(t, p.cmd.Process.Kill())
			<-p.log
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := t.TempDir() + "/store"
			p := launch(t, 1, "--store", file)
			addr := p.addrs[0]
			login(t, addr, 5, "clean")
			login(t, addr, 5, "ended", keeps(60))
			login(t, addr, 5, "ended")
			short, _ := login(t, addr, 5, "short", keeps(1))
			require.NoError(t, short.Close())
			sub, _ := login(t, addr, 5, "sub", keeps(60))
			sub.subscribe(2, "a/#", "b")
			sub.send(packets.Unsubscribe, packets.Packet{PacketID: 2, Filters: packets.Subscriptions{{Filter: "b"}}})
			sub.want(packets.Unsuback)
			pub, _ := login(t, addr, 5, "pub", keeps(60))
			for topic, payload := range map[string]string{"r": "kept", "s": ""} {
				m := msg(0, topic, "kept")
				m.FixedHeader.Retain = true
				pub.send(packets.Publish, m)
				m.Payload = []byte(payload)
				pub.send(packets.Publish, m)
			}
			m := msg(2, "a/x", "2")
			m.Properties.User = []packets.UserProperty{{Key: "k", Val: "v"}}
			pub.send(packets.Publish, m) // PUBREL is missing
			pub.want(packets.Pubrec)
			sub.wantMessage("a/x", "2") // PUBREC is missing
			require.NoError(t, sub.Close())
			pub.send(packets.Publish, msg(1, "a/y", "1"))
			pub.want(packets.Puback)
			end(t, p)

			p = launch(t, 1, "--store", file)
			defer p.stop(t)
			addr = p.addrs[0]
			pub, ack := login(t, addr, 5, "pub", keeps(60))
			require.True(t, ack.SessionPresent)
			pub.send(packets.Publish, m) // again
			pub.want(packets.Pubrec)
			sub, ack = login(t, addr, 5, "sub", keeps(60))
			require.True(t, ack.SessionPresent)
			again := sub.wantMessage("a/x", "2")
			require.True(t, again.FixedHeader.Dup)
			require.Equal(t, m.Properties.User, again.Properties.User)
			sub.wantMessage("a/y", "1")
			pub.send(packets.Publish, msg(0, "b", "x"))
			pub.ping()
			sub.ping() // it is not subscribed to b
			sub.subscribe(0, "+")
			require.True(t, sub.wantMessage("r", "kept").FixedHeader.Retain)
			sub.ping()
			time.Sleep(4 * time.Second)
			for _, id := range []string{"clean", "ended", "short"} {
				_, ack = login(t, addr, 5, id, keeps(60))
				require.False(t, ack.SessionPresent, id)
			}
		})
	}
}

func TestStore_DeletesSessionsThatExpiredWhileTheBrokerWasDown(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/store"
	p := launch(t, 1, "--store", file)
	c, _ := login(t, p.addrs[0], 5, "short", keeps(10))
	require.NoError(t, c.Close())
	p.stop(t)
	require.Contains(t, stored(t, file), "short")
	time.Sleep(10100 * time.Millisecond)
	launch(t, 1, "--store", file).stop(t)
	require.Empty(t, stored(t, file))
}

// stored returns the IDs of the sessions in a file.
func stored(t *testing.T, file string) (ids []string) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(sessionsBucket)).ForEach(func(k, _ []byte) error {
			ids = append(ids, string(k))
			return nil
		})
	}))
	require.NoError(t, db.Close())
	return ids
}
