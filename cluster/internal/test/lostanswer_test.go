package test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The broker executes the write of the claim, and its answer is lost.
func TestClaim_WhoseAnswerIsLostLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(*proxy)
	}{
		{"the connection is lost", (*proxy).heal},
		{"the answer comes late", (*proxy).release},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			p := between(t, b.URL())
			a := join(t, o, "a", cluster.Config{URL: p.url(), LeaseTTL: 10 * lease})
			c := join(t, o, "c", cluster.Config{URL: b.URL(), LeaseTTL: 10 * lease})
			before := epoch(t, c, "a")
			p.holdAfter("$KV.sessions_dir.s.x")
			require.ErrorIs(t, giveUp(t, a, "x", p), cluster.ErrUnavailable)
			require.False(t, a.has("x"))
			eventually(t, "it is written", func() bool {
				_, err := c.node.Lookup(t.Context(), "x")
				return err == nil
			})
			tt.end(p)
			eventually(t, "the entry is gone", func() bool {
				_, err := c.node.Lookup(t.Context(), "x")
				return errors.Is(err, cluster.ErrNotFound)
			})
			require.Equal(t, before, epoch(t, c, "a"), "a has lived all the time")
			a.mustLogin("x")
			require.Equal(t, 1, o.alive("x"))
		})
	}
}

func TestClaim_WhoseAnswerIsLostIsFoundToHaveWon(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	p.holdAfter("$KV.sessions_dir.s.x")
	won := make(chan error, 1)
	go func() { won <- a.login(within(t, patience), "x") }()
	eventually(t, "the claim is on its way", p.holding)
	p.heal()
	require.NoError(t, <-won)
	require.True(t, a.has("x"))
	e, err := a.node.Lookup(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, a.token("x"), e.Token)
}

// A node recognizes its own heartbeat whose answer was lost.
func TestLease_SurvivesAHeartbeatWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	before := epoch(t, c, "a")
	p.holdAfter("$KV.sessions_nodes.a_")
	eventually(t, "a heartbeat is on its way", p.holding)
	p.heal()
	last := beat(t, c, "a")
	eventually(t, "it goes on", func() bool { return beat(t, c, "a").After(last) && a.node.State() == cluster.Active })
	require.Equal(t, before, epoch(t, c, "a"))
	require.True(t, a.has("x"))
}

// The answer to the last heartbeat may still be on its way when the node leaves.
func TestLeave_AfterAHeartbeatWhoseAnswerIsLostLeavesNothing(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	p, silent, _ := betweenStalling(t, b.URL(), "_INBOX.")
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	ids := names(50, "u%d")
	a.mustLogin(ids...)
	require.NotEmpty(t, last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s.u0"))
	record := "$KV.sessions_nodes." + epoch(t, c, "a")
	before := last(t, nc, "KV_sessions_nodes", record)
	silent.Store(true)
	eventually(t, "a heartbeat is written", func() bool { return last(t, nc, "KV_sessions_nodes", record) != before })
	silent.Store(false)
	require.NoError(t, a.node.Leave(within(t, patience)))
	require.Empty(t, last(t, nc, "KV_sessions_nodes", record))
	for _, id := range ids {
		require.Empty(t, last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s."+id))
	}
}

func beat(t *testing.T, by *site, name string) time.Time {
	t.Helper()
	for _, info := range by.node.Nodes() {
		if info.Name == name {
			return info.Seen
		}
	}
	return time.Time{}
}

// The answer to the write that ends the node's lease comes late.
func TestLeave_WhoseAnswerIsLateLeavesNothing(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	a.mustLogin("x")
	record := "$KV.sessions_nodes." + epoch(t, a, "a")
	p.holdAfter(`"dead":true`)
	left := make(chan error, 1)
	go func() { left <- a.node.Leave(within(t, patience)) }()
	eventually(t, "it says that it is dead", p.holding)
	time.Sleep(lease/6 + 300*time.Millisecond) // longer than one request may take
	p.release()
	require.NoError(t, <-left)
	require.Empty(t, last(t, nc, "KV_sessions_nodes", record))
	require.Empty(t, last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s.x"))
}

// The entry of a session that ends while the broker is down is deleted when it is back.
func TestRelease_IsExecutedWhenTheBrokerIsBack(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	ids := names(100, "u%d")
	a.mustLogin(ids...)
	p.hold()
	for _, id := range ids[:50] {
		a.logout(id)
	}
	p.heal()
	eventually(t, "the entries are gone", func() bool { return len(listed(t, a)) == 50 })
	require.Equal(t, 50, a.len())
}
