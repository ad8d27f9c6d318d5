package test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// fencedAtOnce is the number of sessions that a fencing node closes at a time.
const fencedAtOnce = 256

// revision returns the last revision of a stream.
func revision(t *testing.T, b *childBroker, stream string) uint64 {
	t.Helper()
	_, js := b.jetstream(t)
	s, err := js.Stream(within(t, patience), stream)
	require.NoError(t, err)
	return s.CachedInfo().State.LastSeq
}

// A session ends after its node has reconnected to the broker and before it has reconciled
// the directory. The broker has lost its data, and the revision that the node remembers of
// the session's entry is now that of another node's entry. The node cannot reconcile,
// because sessions of its lost lease do not end.
func TestRelease_AfterAReconnectionLeavesAnothersEntry(t *testing.T) {
	t.Parallel()
	r, o := newRestartable(t), newObserver()
	p := between(t, r.b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), Storage: cluster.Memory, OnLeaseLost: cluster.Fence})
	d := join(t, newObserver(), "d", cluster.Config{URL: r.b.URL(), Storage: cluster.Memory})
	stuck := make(chan struct{})
	var mu sync.Mutex
	closing := make(map[string]bool) // guarded by mu
	a.closing = func(id string) {
		mu.Lock()
		closing[id] = true
		mu.Unlock()
		<-stuck
	}
	letGo := sync.OnceFunc(func() { close(stuck) })
	t.Cleanup(letGo)
	ids := names(fencedAtOnce+20, "u%d")
	a.mustLogin(ids...) // with revisions 1, 2, ...

	before := epoch(t, d, "d")
	p.hold()
	r.stop()
	r.start()
	eventually(t, "d is there in the new stream", func() bool { return epoch(t, d, "d") != before })
	for _, id := range ids { // with the same revisions
		d.mustLogin(id)
	}
	t.Logf("%d entries at the revisions up to %d", len(ids), revision(t, r.b, "KV_sessions_dir"))
	events := watch(t, d.node)
	eventually(t, "as many sessions of a as may be are being closed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(closing) == fencedAtOnce
	})
	p.heal()
	eventually(t, "a reaches the broker again", func() bool {
		_, err := a.node.Lookup(within(t, patience), ids[0])
		return err == nil
	})
	require.Equal(t, cluster.Isolated, a.node.State())
	for _, id := range ids {
		mu.Lock()
		waits := !closing[id]
		mu.Unlock()
		if waits {
			a.logout(id)
		}
	}
	require.Equal(t, fencedAtOnce, a.len())
	letGo()
	eventually(t, "a is back", active(a))
	require.NoError(t, a.node.Leave(within(t, patience)), "and has nothing left to do")
	d.mustLogin("later")
	until(t, events, func(e cluster.Event) bool {
		require.NotEqual(t, cluster.Released, e.Kind, "%s was d's", e.Entry.ID)
		return e.Entry.ID == "later"
	})
	entries := listed(t, d)
	for _, id := range ids {
		require.Equal(t, d.token(id), entries[id].Token)
	}
}
