package test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

func TestTakeover_WorksWhereverTheFirstSessionIs(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	for _, id := range []string{"user-7", "a name with spaces and *.>", "名前", strings.Repeat("x", 1024), strings.Repeat("\xff", 1024)} {
		a.mustLogin(id)
		first := a.token(id)
		e, err := c.node.Lookup(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, cluster.Entry{ID: id, Node: "a", Owner: e.Owner, Token: first, Since: e.Since, Meta: []byte("of " + id)}, e)
		require.WithinDuration(t, time.Now(), e.Since, patience)

		c.mustLogin(id)
		require.False(t, a.has(id))
		require.Equal(t, pool.Replaced, a.reason(id))
		require.Greater(t, c.token(id), first)

		c.mustLogin(id) // on the same node
		e, err = a.node.Lookup(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "c", e.Node)
		require.Equal(t, c.token(id), e.Token)

		c.logout(id)
		eventually(t, "the entry is gone", func() bool {
			_, err := a.node.Lookup(t.Context(), id)
			return errors.Is(err, cluster.ErrNotFound)
		})
	}
	require.Zero(t, o.doubled())
}

func TestTakeover_UnderContentionNeverMakesTwoOwners(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	var sites []*site
	for i := range 3 {
		// A lease that a busy machine loses would let others take what the node has.
		sites = append(sites, join(t, o, fmt.Sprint("n", i), cluster.Config{URL: b.URL(), LeaseTTL: 5 * lease}))
	}
	const logins = 3000
	var begun, won, superseded atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for g := range 12 {
		r := rand.New(rand.NewPCG(1, uint64(g)))
		wg.Go(func() {
			for begun.Add(1) <= logins {
				s, id := sites[r.IntN(len(sites))], fmt.Sprint("u", r.IntN(5))
				if r.IntN(8) == 0 {
					s.logout(id)
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				switch err := s.login(ctx, id); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, cluster.ErrSuperseded): // by a later one
					superseded.Add(1)
				default:
					t.Errorf("login %s: %v", id, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	t.Logf("%d logins in %v, %d others were superseded", won.Load(), time.Since(start), superseded.Load())
	require.Zero(t, o.doubled(), "sessions that began while another had their ID")
	require.EqualValues(t, logins, won.Load()+superseded.Load())
	require.Greater(t, won.Load(), int64(logins/20))
	eventually(t, "the directory and the sites agree", func() bool {
		want, have := owners(sites...), listed(t, sites[0])
		for id, owner := range want {
			if len(owner) != 1 || have[id].Node != "n"+owner {
				return false
			}
		}
		return len(want) == len(have)
	})
}

func TestEviction_WaitsForTheActivationOfItsSession(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	activating, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := a.node.Claim(within(t, patience), "x", nil, func(token uint64) {
			close(activating)
			<-goOn
			a.begin("x")(token)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-activating
	taken := make(chan error, 1)
	wg.Go(func() { taken <- c.login(within(t, patience), "x") })
	// The entry is a's, and its session is not activated yet.
	select {
	case err := <-taken:
		t.Errorf("the ID was taken over while its owner was activating: %v", err)
	case <-time.After(2 * time.Second):
	}
	close(goOn)
	wg.Wait()
	require.Zero(t, o.doubled())
	require.True(t, c.has("x"))
	require.False(t, a.has("x"))
	require.Equal(t, 1, o.alive("x"))
}

func TestEviction_OfASessionThatNeverEndsBlocksItsOwnIDOnly(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	stuck := make(chan struct{})
	a.closing = func(id string) {
		if id == "stuck" {
			<-stuck
		}
	}
	a.mustLogin("stuck", "other")
	require.ErrorIs(t, c.login(within(t, 3*time.Second), "stuck"), cluster.ErrTakeoverTimeout)
	a.mustWait(time.Second, "stuck")
	c.mustLogin("other")
	require.Equal(t, cluster.Active, a.node.State())
	close(stuck)
	c.mustLogin("stuck")
	require.Zero(t, o.doubled())
}

func TestClaim_RefusesInvalidArguments(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	never := func(uint64) { t.Error("activated") }
	for _, id := range []string{"", strings.Repeat("x", 1025)} {
		require.ErrorIs(t, a.node.Claim(t.Context(), id, nil, never), cluster.ErrInvalid)
		require.ErrorIs(t, a.node.Kick(t.Context(), id, "x"), cluster.ErrInvalid)
		_, err := a.node.Lookup(t.Context(), id)
		require.ErrorIs(t, err, cluster.ErrInvalid)
	}
	require.ErrorIs(t, a.node.Claim(t.Context(), "x", make([]byte, 64<<10+1), never), cluster.ErrInvalid)
	require.ErrorIs(t, a.node.Send(t.Context(), "x", make([]byte, 1<<20)), cluster.ErrInvalid)
	require.NoError(t, a.node.Claim(t.Context(), "x", make([]byte, 64<<10), a.begin("x")))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.node.Claim(ctx, "y", nil, never), context.Canceled)
}
