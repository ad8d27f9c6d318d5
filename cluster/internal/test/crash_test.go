package test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// stored returns the number of keys of a stream with a value or a marker.
func stored(t *testing.T, nc *nats.Conn, stream string) int {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	require.NoError(t, err)
	return int(s.CachedInfo().State.Msgs)
}

func TestLease_OfAKilledProcessEndsItsTenThousandSessions(t *testing.T) {
	t.Parallel()
	const crowd = 10_000
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	d := join(t, o, "d", cluster.Config{URL: b.URL()})
	require.NoError(t, many(within(t, patience), c.retryLogin, names(100, "c%d")...))
	a := spawn(t, "node", nodeArg{Name: "a", URL: b.URL(), Logins: crowd})
	eventually(t, "its heartbeat tells of its sessions", func() bool {
		sessions, nodes := d.node.Count()
		return sessions == crowd+100 && nodes == 3
	})
	require.Len(t, listed(t, d), crowd+100)

	a.kill()
	start := time.Now()
	ids := names(100, "u%d")
	require.ErrorIs(t, d.login(within(t, lease/4), ids[0]), cluster.ErrTakeoverTimeout, "its lease is not over")
	require.NoError(t, many(within(t, patience), d.retryLogin, ids...)) // these wait until the node is declared dead
	declared := time.Since(start)
	require.Greater(t, declared, lease/2) // the last heartbeat is up to a third of a lease older
	require.Less(t, declared, patience/2, "a lease and a half, and what a busy machine takes")
	eventually(t, "its sessions are gone", func() bool { // the broker deletes thousands of entries
		_, err := c.node.Lookup(t.Context(), "u9999")
		return errors.Is(err, cluster.ErrNotFound)
	})

	agree(t, c, []*site{c, d})
	// List omits the entries of dead nodes, so look at the stream: there must be none.
	eventually(t, "nothing is left of it", func() bool {
		return stored(t, nc, "KV_sessions_dir") == 200 && stored(t, nc, "KV_sessions_nodes") == 2
	})
	t.Logf("killed with %d sessions and a lease of %v: a login passed after %v, all entries and markers gone after %v",
		crowd, lease, declared, time.Since(start))
	require.Zero(t, o.doubled())
	eventually(t, "it is not counted any more", func() bool {
		sessions, nodes := c.node.Count()
		return nodes == 2 && sessions <= 200
	})
}

// A process that is stopped for longer than its lease is declared dead. When it continues,
// it still has all its sessions, and finds out which of them others have taken.
func TestLease_ExpiresWhileTheProcessIsStopped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fence bool
	}{{"fence", true}, {"keep serving", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			c := join(t, o, "c", cluster.Config{URL: b.URL()})
			a := spawn(t, "node", nodeArg{Name: "a", URL: b.URL(), Fence: tt.fence, Logins: 300, Watched: "u7"})
			var before, after nodeReport
			eventually(t, "its sessions are served", func() bool {
				before = report(a)
				return !before.Served.IsZero()
			})
			require.Len(t, before.Sessions, 300)

			a.signal(syscall.SIGSTOP)
			start := time.Now()
			c.mustLogin("u7")
			taken := time.Now()
			eventually(t, "its entries are deleted", func() bool { return len(listed(t, c)) == 1 })
			t.Logf("taken over %v after the stop", taken.Sub(start))
			a.signal(syscall.SIGCONT)
			resumed := time.Now()
			eventually(t, "it is back as another incarnation", func() bool {
				after = report(a)
				return after.Active && after.Epoch != before.Epoch && !after.has("u7")
			})
			t.Logf("back %v after it went on", time.Since(resumed))
			if tt.fence {
				require.Equal(t, cluster.LeaseLost, after.Why["u8"])
				require.True(t, after.Served.Before(taken), "served at %v, and taken over at %v", after.Served, taken)
				require.Empty(t, after.Sessions)
			} else {
				require.Equal(t, pool.Replaced, after.Why["u7"])
				require.Len(t, after.Sessions, 299)
			}
			agree(t, c, []*site{c}, after)
			require.True(t, c.has("u7"))
			require.Zero(t, o.doubled())

			// It is a node again.
			c.mustLogin("u8")
			after = report(a)
			require.False(t, after.has("u8"))
			agree(t, c, []*site{c}, after)
		})
	}
}
