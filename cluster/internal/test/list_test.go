package test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// trickle is a slow connection: data arrives in small pieces with pauses between them.
type trickle struct {
	from  io.Reader
	piece int
	every time.Duration
}

func (r *trickle) Read(b []byte) (int, error) {
	n, err := r.from.Read(b[:min(len(b), r.piece)])
	if n > 1024 { // the entries; other answers are not delayed
		time.Sleep(r.every)
	}
	return n, err
}

// It runs by itself, since a broker that is starved is silent as well.
func TestList_GoesOnWhileEntriesArriveAndEndsWithASilentBroker(t *testing.T) {
	url := standalone(t, "").ClientURL()
	a := join(t, newObserver(), "a", cluster.Config{URL: url})
	const entries = 44
	for _, id := range names(entries, "u%d") {
		require.NoError(t, a.node.Claim(within(t, patience), id, make([]byte, 32<<10), a.begin(id)))
	}
	// A client whose entries arrive slowly, and may be held up.
	slow := func() (*proxy, *cluster.Client) {
		p := between(t, url)
		p.mu.Lock()
		p.inwards = func(from io.Reader) io.Reader { return &trickle{from, 16 << 10, 30 * time.Millisecond} }
		p.mu.Unlock()
		// Pongs wait behind the entries, so a connection that pings often would be closed.
		nc, err := nats.Connect(p.url(), cluster.ConnOptions(time.Minute)...)
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return p, open(t, cluster.ClientConfig{Conn: nc})
	}
	_, client := slow()
	half, cutOff := slow()
	gone, silent := slow()
	gone.hold()
	ctx := within(t, patience)
	var all sync.WaitGroup
	defer all.Wait()

	all.Go(func() {
		seen, start := 0, time.Now()
		assert.NoError(t, client.List(ctx, func(cluster.Entry) bool { seen++; return true }))
		assert.Equal(t, entries, seen)
		assert.Greater(t, time.Since(start), 3500*time.Millisecond, "longer than a silence may be")
	})
	all.Go(func() { // a slow caller is not mistaken for a silent broker
		seen := 0
		assert.NoError(t, a.node.List(ctx, func(cluster.Entry) bool {
			if seen++; seen == 2 {
				time.Sleep(3500 * time.Millisecond)
			}
			return true
		}))
		assert.Equal(t, entries, seen)
	})
	all.Go(func() { // silent after the third entry
		hold := sync.OnceFunc(half.hold)
		seen := 0
		assert.ErrorIs(t, cutOff.List(ctx, func(cluster.Entry) bool {
			if seen++; seen == 3 {
				hold()
			}
			return true
		}), cluster.ErrUnavailable)
		assert.Less(t, seen, entries)
	})
	all.Go(func() { // silent from the beginning
		assert.ErrorIs(t, silent.List(ctx, func(cluster.Entry) bool {
			assert.Fail(t, "an entry")
			return false
		}), cluster.ErrUnavailable)
	})
}

// The last entry does not arrive, as if the broker that answers lagged behind the leader.
func TestList_AsksAgainIfABrokerEndsTooEarly(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a := join(t, newObserver(), "a", cluster.Config{URL: b.URL()})
	const entries = 20
	a.mustLogin(names(entries, "u%d")...)
	p := between(t, b.URL())
	var left atomic.Int64
	p.mu.Lock()
	p.inwards = func(from io.Reader) io.Reader {
		return &filter{from: bufio.NewReaderSize(from, 64<<10), drop: func(string) bool { return false }, edit: func(m []byte) []byte {
			if bytes.Contains(m, []byte("$KV.sessions_dir.s.u19")) && bytes.HasPrefix(m, []byte("HMSG")) && left.Add(-1) >= 0 {
				return nil
			}
			return m
		}}
	}
	p.mu.Unlock()
	client := open(t, cluster.ClientConfig{URL: p.url()})
	for _, dropped := range []int64{1, 3} {
		left.Store(dropped)
		seen := 0
		require.NoError(t, client.List(within(t, patience), func(cluster.Entry) bool { seen++; return true }))
		require.Equal(t, entries, seen)
		require.Less(t, left.Load(), int64(0), "it was dropped, and asked for again")
	}
	left.Store(1 << 30)
	require.ErrorIs(t, client.List(within(t, patience), func(cluster.Entry) bool { return true }), cluster.ErrUnavailable)
}

// The connection is lost in the middle of an answer.
func TestList_GoesOnAfterAReconnect(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a := join(t, newObserver(), "a", cluster.Config{URL: b.URL()})
	const entries = 60
	for _, id := range names(entries, "u%d") {
		require.NoError(t, a.node.Claim(within(t, patience), id, make([]byte, 32<<10), a.begin(id)))
	}
	p := between(t, b.URL())
	p.mu.Lock()
	p.inwards = func(from io.Reader) io.Reader { return &trickle{from, 16 << 10, 10 * time.Millisecond} }
	p.mu.Unlock()
	client := open(t, cluster.ClientConfig{URL: p.url()})
	reset := sync.OnceFunc(p.reset)
	times := make(map[string]int)
	require.NoError(t, client.List(within(t, patience), func(e cluster.Entry) bool {
		if times[e.ID]++; len(times) == 5 {
			reset()
		}
		return true
	}))
	require.Len(t, times, entries)
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
}

// Entries that were listed are written again, and so is one that was not, which then comes
// last: a reader that counts what it has received would miss it.
func TestList_MissesNoSessionWhoseEntryIsWrittenAgain(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	ids := names(1500, "u%d")
	// More than the broker sends before it must wait for the reader.
	require.NoError(t, many(within(t, patience), func(ctx context.Context, id string) error {
		return a.node.Claim(ctx, id, make([]byte, 8<<10), a.begin(id))
	}, ids...))
	nc := b.connect(t)
	again := func(id string) {
		subject := "$KV.sessions_dir.s." + id
		m, err := nc.Request(subject, []byte(last(t, nc, "KV_sessions_dir", subject)), patience)
		require.NoError(t, err)
		require.NotContains(t, string(m.Data), "error")
	}
	var times map[string]int
	require.NoError(t, insist(within(t, patience), "", func(ctx context.Context, _ string) error {
		times = make(map[string]int)
		var order []string
		return a.node.List(ctx, func(e cluster.Entry) bool {
			times[e.ID]++
			order = append(order, e.ID)
			if len(order) == 100 {
				for _, id := range order {
					again(id)
				}
				for _, id := range ids[len(ids)-50:] { // among the last that are sent
					if times[id] == 0 {
						again(id)
					}
				}
			}
			return true
		})
	}))
	require.Len(t, times, len(ids))
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
}

// Entries are written again all the time, as they are by nodes that reconcile. Each entry is
// there at any moment.
func TestList_MissesNoSessionWhileEntriesAreWritten(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL(), Storage: cluster.Memory})
	ids := names(200, "u%d")
	a.mustLogin(ids...)
	nc := b.connect(t)
	entries := make(map[string]string)
	for _, id := range ids {
		entries[id] = last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s."+id)
	}
	var ended atomic.Bool
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; !ended.Load(); i += 4 {
				id := ids[i%len(ids)]
				if _, err := nc.Request("$KV.sessions_dir.s."+id, []byte(entries[id]), patience); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	missed := 0
	for range 8 {
		missed += len(ids) - len(listed(t, a))
	}
	ended.Store(true)
	wg.Wait()
	require.Zero(t, missed)
}
