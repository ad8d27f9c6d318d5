package test

import (
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
