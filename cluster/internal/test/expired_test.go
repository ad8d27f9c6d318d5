package test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// A watcher counts the messages at its beginning. Markers of deletions may expire before
// they are sent, and then it waits for them in vain. The check for a stalled watcher restarts
// it.
func TestView_IsCompleteThoughMarkersExpireOnTheWay(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a := join(t, newObserver(), "a", cluster.Config{URL: b.URL()})
	require.NoError(t, a.node.Leave(within(t, patience))) // a heartbeat would end the snapshot
	p, stalled, dropped := betweenStalling(t, b.URL(), "$KV.sessions_nodes.gone")
	_, js := b.jetstream(t)
	m := nats.NewMsg("$KV.sessions_nodes.gone")
	m.Header.Set("KV-Operation", "PURGE")
	_, err := js.PublishMsg(within(t, patience), m)
	require.NoError(t, err)
	stalled.Store(true)
	opened := make(chan error, 1)
	go func() {
		client, err := cluster.Open(within(t, patience), cluster.ClientConfig{URL: p.url()})
		if err == nil {
			client.Close()
		}
		opened <- err
	}()
	eventually(t, "the broker has sent it", func() bool { return dropped.Load() > 0 })
	require.Empty(t, opened)
	s, err := js.Stream(within(t, patience), "KV_sessions_nodes")
	require.NoError(t, err)
	require.NoError(t, s.Purge(within(t, patience), jetstream.WithPurgeSubject("$KV.sessions_nodes.gone")))
	require.NoError(t, <-opened)
}

// The tombstone of a dead node is deleted after the last of its entries. A lookup that has
// read an entry before that, and then finds no record, reads the entry again.
func TestLookup_WhileADeadNodeIsRemovedFindsNothing(t *testing.T) {
	t.Parallel()
	b := broker(t)
	join(t, newObserver(), "a", cluster.Config{URL: b.URL(), LeaseTTL: 10 * patience}) // it declares nobody dead
	p := between(t, b.URL())
	client := open(t, cluster.ClientConfig{URL: p.url()})
	nc, js := b.jetstream(t)
	kv, err := js.KeyValue(within(t, patience), "sessions_dir")
	require.NoError(t, err)
	write := func() {
		t.Helper()
		_, err := nc.Request("$KV.sessions_dir.s.y", []byte(`{"owner":"gone_1","node":"gone","token":5,"since":1}`), patience)
		require.NoError(t, err)
	}
	lookup := func(ctx context.Context, id string) error {
		_, err := client.Lookup(ctx, id)
		return err
	}
	write()
	require.NoError(t, insist(within(t, patience), "y", lookup), "no node has declared its owner dead")

	// A busy machine may not get through within the second that a request may take. Then the
	// lookup fails with ErrUnavailable, and is tried again.
	eventually(t, "a lookup is answered", func() bool {
		write()
		p.holdAfter("sessions_nodes.gone_1") // the request for the record
		found := make(chan error, 1)
		go func() { found <- lookup(t.Context(), "y") }()
		eventually(t, "it waits for the record", func() bool { return p.holding() || len(found) > 0 })
		require.NoError(t, kv.Delete(within(t, patience), "s.y"))
		p.release()
		err := <-found
		if !errors.Is(err, cluster.ErrUnavailable) {
			require.ErrorIs(t, err, cluster.ErrNotFound)
		}
		return !errors.Is(err, cluster.ErrUnavailable)
	})
}
