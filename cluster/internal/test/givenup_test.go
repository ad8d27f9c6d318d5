package test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// giveUp logs in, and gives that up as soon as p holds, which must be after its write.
func giveUp(t *testing.T, s *site, id string, p *proxy) error {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t, patience))
	done := make(chan error, 1)
	go func() { done <- s.login(ctx, id) }()
	eventually(t, "the claim is on its way", p.holding)
	cancel()
	return <-done
}

// A second login on the node that has the session is given up after its write was executed
// and the answer was lost. The first session stays, and must stay reachable.
func TestClaim_GivenUpOnTheNodeThatHasTheSessionLeavesItReachable(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin(names(50, "u%d")...)
	a.mustLogin("x")
	first := a.token("x")
	// The second login's write is forwarded, which expects the revision of the first.
	p.holdAfter(fmt.Sprintf("Sequence: %d\r", revision(t, b, "KV_sessions_dir")))
	require.Error(t, giveUp(t, a, "x", p))
	p.release()
	require.Equal(t, first, a.token("x"), "the login was given up")
	eventually(t, "the entry names the session that is there", func() bool {
		e, err := c.node.Lookup(t.Context(), "x")
		return err == nil && e.Token == first
	})
	require.NoError(t, send(t, c.node, "x", []byte("hello")))
	c.mustLogin("x")
	require.Zero(t, o.doubled())
}

// Until the entry of the session that stays is written again, the entry is that of the login
// which was given up. Whoever reads it then reaches the session all the same.
func TestKick_AndSendReachASessionBesideALoginThatWasGivenUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		do               func(ctx context.Context, by *cluster.Node, first, given cluster.Entry) error
		closed, received bool
	}{
		{name: "Send", received: true, do: func(ctx context.Context, by *cluster.Node, _, _ cluster.Entry) error {
			return by.Send(ctx, "x", []byte("hello"))
		}},
		{name: "Kick", closed: true, do: func(ctx context.Context, by *cluster.Node, _, _ cluster.Entry) error {
			return by.Kick(ctx, "x", "Kicked")
		}},
		{name: "KickEntry", closed: true, do: func(ctx context.Context, by *cluster.Node, first, _ cluster.Entry) error {
			return by.KickEntry(ctx, first, "Kicked")
		}},
		{name: "KickEntry of the login that was given up", do: func(ctx context.Context, by *cluster.Node, _, given cluster.Entry) error {
			return by.KickEntry(ctx, given, "Kicked")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const patient = 60 * time.Second // so that a network which stands still a little longer is not given up
			b, o := broker(t), newObserver()
			p := between(t, b.URL())
			a := join(t, o, "a", cluster.Config{URL: p.url(), LeaseTTL: patient})
			c := join(t, o, "c", cluster.Config{URL: b.URL(), LeaseTTL: patient})
			a.mustLogin("x")
			first, err := lookup(t, c.node, "x")
			require.NoError(t, err)
			p.holdAfter(fmt.Sprintf("Sequence: %d\r", revision(t, b, "KV_sessions_dir")))
			require.Error(t, giveUp(t, a, "x", p))
			var given cluster.Entry
			eventually(t, "it is written", func() bool {
				given, err = c.node.Lookup(t.Context(), "x")
				return err == nil && given.Token > first.Token
			})
			nc := b.connect(t)
			requests, err := nc.SubscribeSync("sessions.node.>")
			require.NoError(t, err)
			require.NoError(t, nc.Flush())
			done := make(chan error, 1)
			go func() { done <- tt.do(within(t, patience), c.node, first, given) }()
			_, err = requests.NextMsg(patience)
			require.NoError(t, err, "the request is on its way to a")
			p.release()
			if err := <-done; tt.closed || tt.received {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, cluster.ErrNotFound)
			}
			require.Equal(t, tt.closed, !a.has("x"))
			require.Equal(t, tt.received, len(a.received()) == 1)
		})
	}
}

// A login that is not given up has the ID as soon as its entry is written, although it waits
// until the earlier session has ended.
func TestKick_AndSendLeaveTheEarlierSessionToALoginThatWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	first := a.token("x")
	stuck := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(stuck) })
	t.Cleanup(letGo)
	a.closing = func(string) { <-stuck }
	second := make(chan error, 1)
	go func() { second <- a.login(within(t, patience), "x") }()
	eventually(t, "its entry is written", func() bool {
		e, err := c.node.Lookup(t.Context(), "x")
		return err == nil && e.Token > first
	})
	for _, by := range []*site{a, c} {
		require.ErrorIs(t, by.node.Kick(within(t, patience), "x", "Kicked"), cluster.ErrNotFound)
		require.ErrorIs(t, by.node.Send(within(t, patience), "x", nil), cluster.ErrNotFound)
	}
	require.Empty(t, a.received())
	letGo()
	require.NoError(t, <-second)
	require.Equal(t, pool.Replaced, a.reason("x"))
}
