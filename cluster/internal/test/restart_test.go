package test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/internal/test/brokerd"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
	"github.com/sessionwheel/sessionwheel/pool"
)

// restartable is a broker that can be restarted at the same address.
type restartable struct {
	t   *testing.T
	arg brokerd.Arg
	b   *childBroker
}

func newRestartable(t *testing.T) *restartable {
	t.Helper()
	r := &restartable{t: t, arg: brokerd.Arg{Dir: t.TempDir(), Addr: loopback.Host() + ":0"}}
	r.start()
	r.arg.Addr = strings.TrimPrefix(r.b.URL(), "nats://")
	return r
}

func (r *restartable) start() {
	r.t.Helper()
	r.b = spawnBroker(r.t, r.arg)
}

func (r *restartable) stop() {
	r.t.Helper()
	require.NoError(r.t, r.b.Close())
}

func TestReconcile_SessionsSurviveARestartOfTheBroker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		storage cluster.Storage
		lapse   bool // the leases expire while the broker is down
	}{
		{"file, short", cluster.File, false},
		{"file, long", cluster.File, true},
		{"memory, short", cluster.Memory, false},
		{"memory, long", cluster.Memory, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, o := newRestartable(t), newObserver()
			c := cluster.Config{URL: r.b.URL(), Storage: tt.storage}
			a, d := join(t, o, "a", c), join(t, o, "d", c)
			ids := names(800, "u%d")
			a.mustLogin(ids[:400]...)
			d.mustLogin(ids[400:]...)
			events := watch(t, a.node)

			r.stop()
			if tt.lapse {
				eventually(t, "the leases are lost", func() bool { return isolated(a)() && isolated(d)() })
			}
			a.logout(ids[0])
			r.start()
			start := time.Now()
			eventually(t, "the directory is whole", func() bool {
				for _, by := range []*site{a, d} {
					entries := listed(t, by)
					for i, id := range ids[1:] {
						owner := map[bool]*site{true: a, false: d}[i+1 < 400]
						if owner.token(id) != entries[id].Token {
							return false
						}
					}
					if len(entries) != len(ids)-1 {
						return false
					}
				}
				return active(a, d)()
			})
			t.Logf("whole again %v after the broker", time.Since(start))
			require.Equal(t, []int{399, 400}, []int{a.len(), d.len()}, "no session was closed")
			a.mustLogin(ids[799])
			require.False(t, d.has(ids[799]))
			require.NoError(t, send(t, d.node, ids[799], []byte("hello")))
			require.Zero(t, o.doubled())

			// A watcher reports that it may have missed changes, and continues.
			until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Missed })
			hears(t, a, events, "late")
		})
	}
}

// until reads events up to one for which is returns true.
func until(t *testing.T, events <-chan cluster.Event, is func(cluster.Event) bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case e, open := <-events:
			require.True(t, open)
			if is(e) {
				return
			}
		case <-limit:
			t.Fatal("the event never came")
		}
	}
}

// A node comes back when the broker has lost its data and others have written the stream
// anew.
func TestReconcile_NeverWritesWithARevisionOfALostStream(t *testing.T) {
	t.Parallel()
	r, o := newRestartable(t), newObserver()
	p := between(t, r.b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), Storage: cluster.Memory})
	d := join(t, o, "d", cluster.Config{URL: r.b.URL(), Storage: cluster.Memory})
	a.mustLogin("x", "y")
	before := epoch(t, d, "d")
	p.hold()
	r.stop()
	r.start()
	eventually(t, "d is there in the new stream", func() bool { return epoch(t, d, "d") != before })
	d.mustLogin("x")
	d.mustLogin("y")
	a.logout("y")
	events := watch(t, open(t, cluster.ClientConfig{URL: r.b.URL()})) // d's own watcher may not have restarted yet
	p.heal()
	eventually(t, "a has made its peace with the directory", func() bool {
		return a.node.State() == cluster.Active && !a.has("x")
	})
	require.Equal(t, pool.Replaced, a.reason("x"))
	a.mustLogin("later")
	until(t, events, func(e cluster.Event) bool {
		require.NotEqual(t, cluster.Missed, e.Kind)
		if e.Entry.ID == "x" || e.Entry.ID == "y" {
			require.NotEqual(t, "a", e.Entry.Node, "the lower token had the ID for a moment")
		}
		return e.Entry.ID == "later"
	})
	for _, id := range []string{"x", "y"} {
		require.True(t, d.has(id), id)
		e, err := lookup(t, d.node, id)
		require.NoError(t, err)
		require.Equal(t, []any{"d", d.token(id)}, []any{e.Node, e.Token})
	}
}

func TestReconcile_CreatesADeletedStreamAgain(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	ids := names(20, "u%d")
	a.mustLogin(ids...)
	nc := b.connect(t)
	_, err := nc.Request("$JS.API.STREAM.DELETE.KV_sessions_dir", nil, patience)
	require.NoError(t, err)
	a.mustLogin("new")
	eventually(t, "the directory is whole", func() bool { return len(listed(t, a)) == 21 })
	require.Equal(t, 21, a.len())
}
