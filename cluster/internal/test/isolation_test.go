package test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

func isolated(s *site) func() bool {
	return func() bool { return s.node.State() == cluster.Isolated }
}

func active(sites ...*site) func() bool {
	return func() bool {
		for _, s := range sites {
			if s.node.State() != cluster.Active {
				return false
			}
		}
		return true
	}
}

// longer is a lease that a node keeps on a busy machine, which may stop it for some seconds. The
// lease is over for its node three seconds before it is for the others.
const longer = 3 * lease

// mustWait has a login wait for the owner of its ID until d is over. It tries again while the
// broker is slow to answer.
func (s *site) mustWait(d time.Duration, id string) {
	s.t.Helper()
	eventually(s.t, "the login of "+id+" waits for the owner", func() bool {
		err := s.login(within(s.t, d), id)
		waited := errors.Is(err, cluster.ErrTakeoverTimeout)
		require.True(s.t, waited || errors.Is(err, cluster.ErrUnavailable), "%v", err)
		return waited
	})
}

func TestFence_NodeHasNoSessionsWhenOthersMayTakeThem(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence, LeaseTTL: longer})
	c := join(t, o, "c", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence, LeaseTTL: longer})
	ids := names(300, "u%d")
	a.mustLogin(ids...)
	p.hold()
	eventually(t, "others may take the sessions", func() bool {
		_, err := c.node.Lookup(t.Context(), ids[1])
		return errors.Is(err, cluster.ErrNotFound)
	})
	require.Zero(t, a.len(), "all sessions were closed before")
	require.Equal(t, cluster.LeaseLost, a.reason(ids[0]))
	require.ErrorIs(t, a.login(t.Context(), "new"), cluster.ErrIsolated)
	c.mustLogin(ids[0])
	require.Zero(t, o.doubled())

	p.heal()
	eventually(t, "the lease is back", active(a))
	eventually(t, "what it had is gone from the directory", func() bool { return len(listed(t, c)) == 1 })
	a.mustLogin(ids...)
	require.Zero(t, o.doubled())
}

func TestFence_ClosesSessionsEvenIfTheNodeIsNotDeclaredDead(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence})
	a.mustLogin(names(50, "u%d")...)
	p.hold()
	eventually(t, "the lease is lost", func() bool { return isolated(a)() && a.len() == 0 })
	p.heal()
	eventually(t, "the lease is back", active(a))
	eventually(t, "the entries are gone", func() bool { return len(listed(t, a)) == 0 })
}

func TestKeepServing_LosesOnlySessionsThatOthersHaveTaken(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), LeaseTTL: longer})
	c := join(t, o, "c", cluster.Config{URL: b.URL(), LeaseTTL: longer})
	ids := names(300, "u%d")
	a.mustLogin(ids...)
	before := epoch(t, c, "a")
	p.hold()
	c.mustLogin(ids[0], ids[1]) // waits until a is declared dead
	c.logout(ids[1])
	require.Equal(t, 300, a.len())
	require.ErrorIs(t, a.login(t.Context(), "new"), cluster.ErrIsolated)
	eventually(t, "the dead node's entries are deleted", func() bool { return len(listed(t, c)) == 1 })

	p.heal()
	start := time.Now()
	eventually(t, "a is back and its sessions are listed", func() bool { return len(listed(t, c)) == 300 })
	t.Logf("listed again %v after the network came back", time.Since(start))
	require.NotEqual(t, before, epoch(t, c, "a"))
	eventually(t, "the session that was taken is closed", func() bool { return !a.has(ids[0]) })
	require.Equal(t, pool.Replaced, a.reason(ids[0]))
	require.Equal(t, 299, a.len())
	require.Equal(t, 1, o.alive(ids[0]))
	entries := listed(t, a)
	require.Equal(t, "c", entries[ids[0]].Node)
	for _, id := range ids[1:] {
		require.Equal(t, "a", entries[id].Node)
		require.Equal(t, a.token(id), entries[id].Token)
		require.Equal(t, []byte("of "+id), entries[id].Meta)
	}
	// The new incarnation answers requests.
	require.NoError(t, insist(within(t, patience), ids[7], func(ctx context.Context, id string) error {
		return c.node.Send(ctx, id, []byte("hello"))
	}))
	require.Contains(t, a.received(), ids[7]+": hello")
}

func TestClaim_WhileIsolatedIsDecidedByTheHigherToken(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), DegradedLogin: cluster.AllowLogin})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin("own", "gone")
	p.hold()
	eventually(t, "the lease is lost", isolated(a))
	c.mustLogin("c first", "both")
	old := a.token("own")
	a.mustLogin("own") // replaces a's own session without the broker
	require.Greater(t, a.token("own"), old)
	require.Equal(t, pool.Replaced, a.reason("own"))
	a.mustLogin("alone", "c first", "brief")
	a.logout("brief")
	a.logout("gone")
	time.Sleep(time.Millisecond) // both use the same clock
	c.mustLogin("both")
	require.Equal(t, 2, o.alive("c first"), "that is the price")

	p.heal()
	eventually(t, "a is back", active(a))
	eventually(t, "the directory and the sites agree", func() bool {
		entries, want := listed(t, c), owners(a, c)
		for id, owner := range want {
			if len(owner) != 1 || entries[id].Node != map[string]string{"0": "a", "1": "c"}[owner] {
				return false
			}
		}
		return len(entries) == len(want)
	})
	require.Equal(t, map[string]string{"own": "0", "alone": "0", "c first": "0", "both": "1"}, owners(a, c))
	require.Equal(t, pool.Replaced, c.reason("c first"), "its token was lower")
}

// When the brokers are back, the first node to write must not declare the others dead,
// which could not write either.
func TestDeath_IsNotDeclaredByANodeThatWasCutOffItself(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p, q := between(t, b.URL()), between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: q.url()})
	a.mustLogin("x")
	before := epoch(t, c, "a")
	p.hold()
	q.hold()
	start := time.Now()
	eventually(t, "both leases are lost", func() bool { return isolated(a)() && isolated(c)() })
	eventually(t, "the last heartbeats are two leases old", func() bool { return time.Since(start) > 2*lease })
	q.heal()
	eventually(t, "one is back", active(c))
	c.mustWait(lease/4, "x")
	p.heal()
	eventually(t, "both are back", active(a, c))
	require.Equal(t, before, epoch(t, c, "a"))
	require.True(t, a.has("x"))
	require.Zero(t, o.doubled())
	c.mustLogin("x")
	require.Zero(t, o.doubled())
}
