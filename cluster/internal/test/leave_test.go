package test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// Closing takes longer than a lease.
func TestLeave_KeepsItsLeaseUntilItsSessionsAreClosed(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	ids := names(4*fencedAtOnce, "u%d")
	require.NoError(t, many(within(t, patience), a.retryLogin, ids...))
	a.closing = func(string) { time.Sleep(lease / 2) }
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.node.Leave(within(t, patience)); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "it leaves", func() bool { return a.node.State() == cluster.Left })
	require.NoError(t, many(within(t, patience), c.retryLogin, ids...))
	wg.Wait()
	require.Zero(t, o.doubled())
	require.Equal(t, []int{0, len(ids)}, []int{a.len(), c.len()})
	require.Equal(t, pool.Shutdown, a.reason(ids[0]))
}

// One session does not end. The IDs of the others are free all the same.
func TestLeave_GivesUpEachIDAsItsSessionIsClosed(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	ids := names(20, "u%d")
	a.mustLogin(ids...)
	stuck := make(chan struct{})
	a.closing = func(id string) {
		if id == ids[0] {
			<-stuck
		}
	}
	left := make(chan error, 1)
	go func() { left <- a.node.Leave(within(t, patience)) }()
	eventually(t, "it leaves", func() bool { return a.node.State() == cluster.Left })
	start := time.Now()
	c.mustLogin(ids[1:]...)
	require.Error(t, c.login(within(t, 2*lease-time.Since(start)), ids[0]), "it has not ended")
	require.Zero(t, o.doubled())
	close(stuck)
	require.NoError(t, <-left)
	c.mustLogin(ids[0])
	require.Zero(t, o.doubled())
}

func TestLeave_WhoseContextHasEndedClosesAllTheSame(t *testing.T) {
	t.Parallel()
	for _, policy := range []cluster.Policy{cluster.Fence, cluster.KeepServing} {
		t.Run(map[cluster.Policy]string{cluster.Fence: "Fence", cluster.KeepServing: "KeepServing"}[policy], func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			a := join(t, o, "a", cluster.Config{URL: b.URL(), OnLeaseLost: policy})
			c := join(t, o, "c", cluster.Config{URL: b.URL()})
			ids := names(20, "u%d")
			a.mustLogin(ids...)
			if policy == cluster.Fence {
				a.closing = func(string) { time.Sleep(2 * lease) }
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, a.node.Leave(ctx), context.Canceled)
			require.NoError(t, many(within(t, patience), c.retryLogin, ids...))
			require.Zero(t, o.doubled())
			require.Zero(t, a.len())
			eventually(t, "its record is gone", func() bool {
				_, nodes := c.node.Count()
				return nodes == 1
			})
		})
	}
}

// The answers to claims come after the node has resigned.
func TestLeave_LeavesNoEntryOfALoginThatIsUnderWay(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	for range 3 {
		a := join(t, o, "a", cluster.Config{URL: b.URL()})
		ids := names(500, "u%d")
		errs := make([]error, len(ids))
		var wg sync.WaitGroup
		ctx := within(t, patience)
		for i, id := range ids {
			wg.Go(func() { errs[i] = a.login(ctx, id) })
		}
		eventually(t, "some are in", func() bool { return a.len() > 50 })
		require.NoError(t, a.node.Leave(within(t, patience)))
		entries := listed(t, c)
		wg.Wait()
		require.Empty(t, entries)
		require.Empty(t, listed(t, c))
		require.Zero(t, a.len())
		for _, err := range errs {
			require.True(t, err == nil || errors.Is(err, cluster.ErrLeft), "%v", err)
		}
	}
	require.Zero(t, o.doubled())
}

// A login that waits for a lost node ends with the node that it waits on.
func TestLeave_EndsLoginsThatWait(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	y := join(t, o, "y", cluster.Config{URL: p.url()})
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	y.mustLogin("x")
	p.hold()
	waiting := make(chan error, 1)
	go func() { waiting <- a.login(within(t, patience), "x") }()
	time.Sleep(300 * time.Millisecond) // until it waits, which nothing tells
	start := time.Now()
	require.NoError(t, a.node.Leave(within(t, patience)))
	require.ErrorIs(t, <-waiting, cluster.ErrLeft)
	require.Less(t, time.Since(start), lease)
}

// The deletion of the entries takes longer than a lease.
func TestLeave_DeletesAllEntriesOverASlowNetwork(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	p, slow := betweenPaced(t, b.URL(), 45<<10)
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	require.NoError(t, many(within(t, patience), a.retryLogin, names(3000, "u%d")...))
	slow()
	start := time.Now()
	require.NoError(t, a.node.Leave(within(t, patience)))
	took := time.Since(start)
	t.Logf("left in %v", took)
	require.Greater(t, took, lease)
	require.Empty(t, listed(t, c))
}
