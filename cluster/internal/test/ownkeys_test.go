package test

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// counted counts what a broker sends.
type counted struct {
	from io.Reader
	n    *atomic.Int64
}

func (r *counted) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	r.n.Add(int64(n))
	return n, err
}

// What a node reads when the broker restarts or it joins depends on its own sessions, and
// not on how many there are in all.
func TestReconcile_ReadsTheEntriesOfItsOwnSessionsOnly(t *testing.T) {
	t.Parallel()
	r, o := newRestartable(t), newObserver()
	const long = 20 * time.Second // or a slow restart costs a lease, and then the others read all entries
	a := join(t, o, "a", cluster.Config{URL: r.b.URL(), LeaseTTL: long})
	const size = 2 << 10 // of an entry's metadata
	for _, id := range names(3000, "u%d") {
		require.NoError(t, a.node.Claim(within(t, patience), id, make([]byte, size), a.begin(id)))
	}
	p := between(t, r.b.URL())
	var read atomic.Int64
	p.mu.Lock()
	p.inwards = func(from io.Reader) io.Reader { return &counted{from, &read} }
	p.mu.Unlock()
	seen := epoch(t, a, "a")
	first := beat(t, a, "a")
	eventually(t, "a has a lease behind it, so that z is not among the first nodes", func() bool { return beat(t, a, "a").Sub(first) >= long })
	require.Equal(t, seen, epoch(t, a, "a"))
	z := join(t, o, "0", cluster.Config{URL: p.url(), LeaseTTL: long})
	own := names(100, "own%d")
	z.mustLogin(own...)
	joined := read.Load()
	nc, err := r.b.Connect()
	require.NoError(t, err)
	for _, id := range own[:10] {
		_, err := nc.Request("$JS.API.STREAM.PURGE.KV_sessions_dir", []byte(`{"filter":"$KV.sessions_dir.s.`+id+`"}`), patience)
		require.NoError(t, err)
	}
	nc.Close()
	r.stop()
	r.start()
	eventually(t, "z's entries are there again", func() bool {
		for _, id := range own {
			if e, err := a.node.Lookup(within(t, patience), id); err != nil || e.Token != z.token(id) {
				return false
			}
		}
		return active(a, z)()
	})
	t.Logf("%d bytes until it had joined, %d after the restart; the directory has %d", joined, read.Load()-joined, 3000*size*4/3)
	require.Less(t, joined, int64(500<<10))
	require.Less(t, read.Load()-joined, int64(500<<10))
	require.Equal(t, []int{3000, 100}, []int{a.len(), z.len()})
}
