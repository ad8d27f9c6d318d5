package test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

func TestLease_OfADeadNodeEndsItsSessions(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	ids := names(500, "u%d")
	a.mustLogin(ids...)
	c.mustLogin("stays")
	dead := epoch(t, c, "a")

	p.hold() // for the rest of the test
	start := time.Now()
	_, err := lookup(t, c.node, ids[0])
	require.NoError(t, err, "it lives as long as its lease")
	c.mustWait(time.Second, ids[0])
	eventually(t, "the session is not found", func() bool {
		_, err := c.node.Lookup(t.Context(), ids[0])
		return errors.Is(err, cluster.ErrNotFound)
	})
	took := time.Since(start)
	t.Logf("not found %v after the last sign of life, with a lease of %v", took, lease)
	require.Greater(t, took, lease/2) // the last heartbeat is up to a third of a lease older
	sessions, nodes := c.node.Count()
	require.Equal(t, []int{1, 1}, []int{sessions, nodes})
	require.Len(t, listed(t, c), 1)
	eventually(t, "the record is gone: all entries are", func() bool {
		return last(t, nc, "KV_sessions_nodes", "$KV.sessions_nodes."+dead) == "" &&
			last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s."+ids[499]) == ""
	})
	t.Logf("%d entries deleted %v after it", len(ids), time.Since(start))
	c.mustLogin(ids[0])
}

func TestTakeover_FromADeadNodeSucceedsWhenItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	p.hold()
	start := time.Now()
	c.mustLogin("x")
	t.Logf("taken over after %v", time.Since(start))
	require.Zero(t, o.doubled(), "a fenced itself before")
	require.Equal(t, cluster.LeaseLost, a.reason("x"))
}

// If the node that deletes the entries of a dead node dies too, it leaves a tombstone and
// some entries.
func TestReconcile_AnotherNodeDeletesTheRestOfADeadNode(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	ids := names(200, "u%d")
	write := func(owner string, certified bool) {
		for _, id := range ids {
			_, err := nc.Request("$KV.sessions_dir.s."+owner+id, []byte(`{"owner":"`+owner+`","node":"gone","token":5,"since":1}`), patience)
			require.NoError(t, err)
		}
		if certified {
			_, err := nc.Request("$KV.sessions_nodes."+owner, []byte(`{"node":"gone","dead":true}`), patience)
			require.NoError(t, err)
		}
	}
	write("half_1", true) // received by a node that has joined already
	eventually(t, "the entries are deleted", func() bool {
		return last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s.half_1"+ids[199]) == "" &&
			last(t, nc, "KV_sessions_nodes", "$KV.sessions_nodes.half_1") == ""
	})
	require.NoError(t, a.node.Leave(within(t, patience)))

	write("half_2", true) // found by a node that joins now
	write("none_3", false)
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	_, err := c.node.Lookup(t.Context(), "half_2"+ids[0])
	require.ErrorIs(t, err, cluster.ErrNotFound)
	for _, owner := range []string{"half_2", "none_3"} {
		eventually(t, "the entries of "+owner+" are deleted", func() bool {
			return last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s."+owner+ids[199]) == "" &&
				last(t, nc, "KV_sessions_nodes", "$KV.sessions_nodes."+owner) == ""
		})
	}
	require.Empty(t, listed(t, c))
}

func TestLeave_ReleasesTheNodesSessions(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	ids := names(500, "u%d")
	a.mustLogin(ids...)
	for _, id := range ids[:100] {
		a.logout(id)
	}
	start := time.Now()
	require.NoError(t, a.node.Leave(within(t, patience)))
	t.Logf("left in %v", time.Since(start))
	require.Zero(t, a.len())
	require.Equal(t, pool.Shutdown, a.reason(ids[499]))
	require.Empty(t, listed(t, c))
	start = time.Now()
	c.mustLogin(ids...)
	require.Less(t, time.Since(start), patience)
	require.Zero(t, o.doubled())

	require.Equal(t, cluster.Left, a.node.State())
	require.ErrorIs(t, a.node.Leave(t.Context()), cluster.ErrLeft)
	require.ErrorIs(t, a.node.Claim(t.Context(), "z", nil, func(uint64) { t.Error("activated") }), cluster.ErrLeft)
	_, err := a.node.Lookup(t.Context(), "z")
	require.ErrorIs(t, err, cluster.ErrLeft)
	a.node.Release("z", 1)
	eventually(t, "the node is gone from the others' view", func() bool {
		_, nodes := c.node.Count()
		return nodes == 1
	})
}

func TestLeave_WithoutABrokerReturnsAnError(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	require.NoError(t, b.Close())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.ErrorIs(t, a.node.Leave(ctx), cluster.ErrUnavailable)
	require.False(t, a.has("x"), "its sessions end with it")
}
