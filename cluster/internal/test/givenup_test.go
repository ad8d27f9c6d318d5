package test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

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
	require.Error(t, a.login(within(t, 1500*time.Millisecond), "x"))
	require.True(t, p.holding())
	p.release()
	require.Equal(t, first, a.token("x"), "the login was given up")
	eventually(t, "the entry names the session that is there", func() bool {
		e, err := c.node.Lookup(t.Context(), "x")
		return err == nil && e.Token == first
	})
	require.NoError(t, c.node.Send(t.Context(), "x", []byte("hello")))
	c.mustLogin("x")
	require.Zero(t, o.doubled())
}

// Until the entry of the session that stays is written again, the entry is that of the login
// which was given up. Whoever reads it then reaches the session all the same.
func TestKick_AndSendReachASessionBesideALoginThatWasGivenUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		do    func(ctx context.Context, by *cluster.Node, e cluster.Entry) error
		isErr error
	}{
		{"Send", func(ctx context.Context, by *cluster.Node, e cluster.Entry) error {
			return by.Send(ctx, "x", []byte("hello"))
		}, nil},
		{"Kick", func(ctx context.Context, by *cluster.Node, e cluster.Entry) error { return by.Kick(ctx, "x", "Kicked") }, nil},
		{"KickEntry", func(ctx context.Context, by *cluster.Node, e cluster.Entry) error {
			return by.KickEntry(ctx, e, "Kicked")
		}, nil},
		{"KickEntry of the login that was given up", func(ctx context.Context, by *cluster.Node, e cluster.Entry) error {
			given, err := by.Lookup(ctx, "x")
			if err != nil {
				return err
			}
			return by.KickEntry(ctx, given, "Kicked")
		}, cluster.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const patient = 60 * time.Second // so that a network which stands still a little longer is not given up
			b, o := broker(t), newObserver()
			p := between(t, b.URL())
			a := join(t, o, "a", cluster.Config{URL: p.url(), LeaseTTL: patient})
			c := join(t, o, "c", cluster.Config{URL: b.URL(), LeaseTTL: patient})
			a.mustLogin("x")
			first, err := c.node.Lookup(t.Context(), "x")
			require.NoError(t, err)
			p.holdAfter(fmt.Sprintf("Sequence: %d\r", revision(t, b, "KV_sessions_dir")))
			require.Error(t, a.login(within(t, 500*time.Millisecond), "x"))
			require.True(t, p.holding())
			given, err := c.node.Lookup(t.Context(), "x")
			require.NoError(t, err)
			require.Greater(t, given.Token, first.Token, "it was written")
			done := make(chan error, 1)
			go func() { done <- tt.do(within(t, patience), c.node, first) }()
			time.Sleep(200 * time.Millisecond) // its request waits before the proxy
			p.release()
			require.ErrorIs(t, <-done, tt.isErr)
			require.Equal(t, tt.isErr == nil && tt.name != "Send", !a.has("x"))
			require.Equal(t, tt.name == "Send", len(a.received()) == 1)
		})
	}
}
