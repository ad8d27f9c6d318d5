package test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// atOnce calls do for all IDs at the same time, and returns how many calls failed, and one of
// the errors.
func atOnce(ids []string, do func(id string) error) (failed int64, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var n atomic.Int64
	for _, id := range ids {
		wg.Go(func() {
			if e := do(id); e != nil {
				n.Add(1)
				mu.Lock()
				err = e
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return n.Load(), err
}

// leaseKept fails the test if a node loses its lease before the returned function is called.
func leaseKept(t *testing.T, sites ...*site) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if !active(sites...)() {
				t.Error("a lease was lost")
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// paced is a connection with little bandwidth, in bytes per second; 0: with all there is.
type paced struct {
	from io.Reader
	rate *atomic.Int64
}

func (r *paced) Read(b []byte) (int, error) {
	n, err := r.from.Read(b[:min(len(b), 4<<10)])
	if rate := r.rate.Load(); rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	return n, err
}

// betweenPaced starts a proxy on which each connection gets so many bytes per second from
// the broker, as soon as slow is called.
func betweenPaced(t *testing.T, url string, rate int64) (p *proxy, slow func()) {
	t.Helper()
	p = between(t, url)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := new(atomic.Int64)
	p.inwards = func(from io.Reader) io.Reader { return &paced{from, now} }
	return p, func() { now.Store(rate) }
}

// All answers together take longer than one request may.
func TestStorm_OfLookupsOverASlowNetworkIsAnswered(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	p, slow := betweenPaced(t, b.URL(), 400<<10)
	slow()
	c := join(t, o, "c", cluster.Config{URL: p.url()})
	ids := names(2000, "u%d")
	require.NoError(t, many(within(t, patience), a.retryLogin, ids...))
	client := open(t, cluster.ClientConfig{URL: p.url()})
	for name, lookup := range map[string]func(context.Context, string) (cluster.Entry, error){
		"node": c.node.Lookup, "client": client.Lookup,
	} {
		ctx, start := within(t, patience), time.Now()
		failed, err := atOnce(ids, func(id string) error {
			_, err := lookup(ctx, id)
			return err
		})
		// Some may fail on a machine that is busy. Without the gate, two thirds do.
		require.Less(t, failed, int64(len(ids)/4), "%v", err)
		t.Logf("%s: %d lookups at once: %v", name, len(ids), time.Since(start))
	}
}

// A reading of the directory takes the whole bandwidth for longer than a lease.
func TestLease_IsKeptWhileTheDirectoryIsRead(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	for _, id := range names(60, "u%d") {
		require.NoError(t, a.node.Claim(within(t, patience), id, make([]byte, 48<<10), a.begin(id)))
	}
	p, slow := betweenPaced(t, b.URL(), 100<<10)
	slow()
	// Pongs wait behind the entries too. The connection is closed when three are missing.
	nc, err := nats.Connect(p.url(), append(cluster.ConnOptions(2*lease), nats.PingInterval(2*lease/3))...)
	require.NoError(t, err)
	defer nc.Close()
	c := join(t, o, "c", cluster.Config{Conn: nc, OnLeaseLost: cluster.Fence, LeaseTTL: 2 * lease})
	stop := leaseKept(t, c)
	for start := time.Now(); time.Since(start) < 3*lease; {
		_ = c.node.List(within(t, 3*lease), func(cluster.Entry) bool { return true })
	}
	stop()
	require.NoError(t, c.node.Leave(within(t, patience)))
}

// It runs by itself, since it is a storm to all others on the machine.
func TestStorm_OfLookupsAndTakeoversIsSurvived(t *testing.T) {
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence})
	c := join(t, o, "c", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence})
	ids := names(1_500, "u%d")
	require.NoError(t, many(within(t, patience), a.retryLogin, ids...))
	stop := leaseKept(t, a, c)
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	failed, err := atOnce(ids, func(id string) error {
		return insist(ctx, id, func(ctx context.Context, id string) error {
			_, err := c.node.Lookup(ctx, id)
			return err
		})
	})
	require.NoError(t, err, "%d of %d lookups failed", failed, len(ids))
	t.Logf("%d lookups at once: %v", len(ids), time.Since(start))

	start = time.Now()
	failed, err = atOnce(ids, func(id string) error { return c.login(ctx, id) })
	require.NoError(t, err, "%d of %d takeovers failed", failed, len(ids))
	t.Logf("%d takeovers at once: %v", len(ids), time.Since(start))
	stop()
	require.Equal(t, []int{0, len(ids)}, []int{a.len(), c.len()})
	require.Zero(t, o.doubled())
}

// It runs by itself too.
func TestStorm_OfLoginsThatWaitForADeadNodeIsSurvived(t *testing.T) {
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	y := join(t, o, "y", cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence})
	a := join(t, o, "a", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence})
	c := join(t, o, "c", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence})
	ids := names(500, "u%d")
	require.NoError(t, many(within(t, patience), y.retryLogin, ids...))
	own := names(200, "own%d")
	a.mustLogin(own...)
	c.mustLogin(names(200, "other%d")...)
	p.hold()
	stop := leaseKept(t, a, c)
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	failed, err := atOnce(ids, func(id string) error {
		err := []*site{a, c}[len(id)%2].login(ctx, id)
		if errors.Is(err, cluster.ErrSuperseded) {
			return nil
		}
		return err
	})
	require.NoError(t, err, "%d of %d logins failed", failed, len(ids))
	t.Logf("%d logins at once that wait for a dead node: %v", len(ids), time.Since(start))
	stop()
	require.Equal(t, len(ids)+400, a.len()+c.len())
	require.Zero(t, o.doubled())
	p.heal()
	eventually(t, "y is back", active(y))
}
