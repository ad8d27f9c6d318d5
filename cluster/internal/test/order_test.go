package test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// A client gives up a login that waits for a lost node, and logs in again two seconds
// later. When the node is dead, both could have the ID.
func TestClaim_NeverTakesAnIDFromOneThatBeganLater(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		oneNode bool
	}{{"on one node", true}, {"on two nodes", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			p := between(t, b.URL())
			y := join(t, o, "y", cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence, LeaseTTL: 2 * lease})
			x := join(t, o, "x", cluster.Config{URL: b.URL(), LeaseTTL: 2 * lease})
			z := x
			if !tt.oneNode {
				z = join(t, o, "z", cluster.Config{URL: b.URL(), LeaseTTL: 2 * lease})
			}
			ids := names(60, "dev%d")
			y.mustLogin(ids...)
			p.hold()

			ctx := within(t, patience)
			var wg sync.WaitGroup
			begin := func(s *site) []error {
				errs := make([]error, len(ids))
				for i, id := range ids {
					wg.Go(func() { errs[i] = s.login(ctx, id) })
				}
				return errs
			}
			earlier := begin(x)
			time.Sleep(2 * time.Second)
			later := begin(z)
			wg.Wait()
			for i, id := range ids {
				if tt.oneNode || earlier[i] != nil { // else it had the ID for a moment
					require.ErrorIs(t, earlier[i], cluster.ErrSuperseded)
				}
				require.NoError(t, later[i])
				require.True(t, z.has(id))
			}
			require.Zero(t, o.doubled())
			agree(t, z, []*site{x, y, z}[:map[bool]int{true: 2, false: 3}[tt.oneNode]])
		})
	}
}

// On one node the earlier claim ends as soon as the later one begins.
func TestClaim_EndsTheWaitingOfAnEarlierOne(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	y := join(t, o, "y", cluster.Config{URL: p.url(), LeaseTTL: 2 * lease})
	x := join(t, o, "x", cluster.Config{URL: b.URL(), LeaseTTL: 2 * lease})
	y.mustLogin("dev")
	p.hold()
	ctx := within(t, patience)
	errs := make([]chan error, 3)
	for i := range errs {
		errs[i] = make(chan error, 1)
		go func() { errs[i] <- x.login(ctx, "dev") }()
		if i > 0 {
			select {
			case err := <-errs[i-1]:
				require.ErrorIs(t, err, cluster.ErrSuperseded)
			case <-time.After(patience):
				t.Fatal("it still waits")
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.NoError(t, <-errs[2])
}

// Times of nodes are compared only between claims that overlapped.
func TestClaim_SucceedsWhateverTheClockOfTheOwnerSays(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	nc := b.connect(t)
	entry, err := json.Marshal(map[string]any{
		"owner": epoch(t, a, "c"), "node": "c", "token": 1, "since": 1, "began": time.Now().Add(time.Hour).UnixMicro(),
	})
	require.NoError(t, err)
	_, err = nc.Request("$KV.sessions_dir.s.dev", entry, patience)
	require.NoError(t, err)
	_, err = a.node.Lookup(t.Context(), "dev") // it was there before the claim
	require.NoError(t, err)
	a.mustLogin("dev")
	require.False(t, c.has("dev"))
}
