package test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// A new incarnation counts as alive, so it must not begin while sessions of the incarnation
// that was declared dead are open.
func TestFence_NodeJoinsAgainOnlyWhenItsSessionsHaveEnded(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	stuck := make(chan struct{})
	a.closing = func(id string) {
		if id == "stuck" {
			<-stuck
		}
	}
	a.mustLogin("stuck", "other")
	before := epoch(t, c, "a")
	p.hold()
	c.mustLogin("other") // a was declared dead then
	p.heal()
	eventually(t, "a reaches the broker", func() bool {
		_, err := a.node.Lookup(within(t, patience), "other")
		return err == nil
	})
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if a.node.State() == cluster.Active {
			t.Error("it counts as alive, and a session of its last incarnation has not ended")
			break
		}
	}
	require.True(t, a.has("stuck"))
	close(stuck)
	eventually(t, "a is back", active(a))
	require.NotEqual(t, before, epoch(t, c, "a"))
	require.False(t, a.has("stuck"))
	agree(t, c, []*site{a, c})
	require.Zero(t, o.doubled())
}
