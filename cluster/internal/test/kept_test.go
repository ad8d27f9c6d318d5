package test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// giver is a site whose sessions take as long to hand over as they are waited for.
type giver struct {
	*site
	ends                   bool          // a session ends though nobody waits for it
	givenUp                chan struct{} // if not nil, they take until it is closed
	handedOver, closedLate atomic.Int32
}

func newGiver(t *testing.T, o *observer, name, url string, ends bool, ttl time.Duration) *giver {
	t.Helper()
	g := &giver{site: newSite(t, o), ends: ends}
	g.joins(within(t, patience), name, cluster.Config{URL: url, Local: g, LeaseTTL: ttl})
	return g
}

func (g *giver) HandOver(ctx context.Context, id string, _ uint64) []byte {
	g.handedOver.Add(1)
	<-ctx.Done()
	if g.givenUp != nil {
		<-g.givenUp
	}
	return []byte(id + " kept")
}

func (g *giver) Close(ctx context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	if ctx.Err() != nil && !g.ends {
		g.closedLate.Add(1)
		return false, ctx.Err()
	}
	return g.site.Close(ctx, id, token, why)
}

// ready is a site whose sessions hand over as soon as before has returned.
type ready struct {
	*site
	before func()
}

func (r ready) HandOver(context.Context, string, uint64) []byte {
	r.before()
	return []byte("kept")
}

// handsOverTooLate has a login of c take over a session of g, and give up before it is handed over.
func (g *giver) handsOverTooLate(c *site, id string) {
	g.t.Helper()
	g.givenUp = make(chan struct{})
	g.mustLogin(id)
	ctx, giveUp := context.WithCancel(within(g.t, patience))
	ctx = cluster.WithHandover(ctx, func([]byte) { g.t.Error("handed over to a login that fails") })
	failed := make(chan error, 1)
	go func() { failed <- c.login(ctx, id) }()
	eventually(g.t, "the session is asked", func() bool { return g.handedOver.Load() > 0 })
	giveUp()
	require.ErrorIs(g.t, <-failed, cluster.ErrTakeoverTimeout)
	time.Sleep(short) // g's node stops waiting within it
	close(g.givenUp)
}

// keptSession returns a node whose session "x" was handed over to a login of c that gave up, and
// has ended since. What it handed over is kept then.
func keptSession(t *testing.T, o *observer, url string, c *site) *giver {
	t.Helper()
	a := newGiver(t, o, "a", url, true, 10*lease) // for so long it is kept
	a.handsOverTooLate(c, "x")
	eventually(t, "the session has ended", func() bool { return !a.has("x") })
	require.EqualValues(t, 1, a.handedOver.Load())
	return a
}

func TestHandover_ThatIsSlowIsTheAnswerToALaterRequest(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	for _, ends := range []bool{false, true} { // true: it may be kept
		a := newGiver(t, o, fmt.Sprint("a-", ends), b.URL(), ends, lease)
		id := fmt.Sprint(ends)
		a.mustLogin(id)
		require.Equal(t, id+" kept", c.loginWith(id))
		require.EqualValues(t, 1, a.handedOver.Load())
	}
	require.Zero(t, o.doubled())
}

// The session goes on, and then ends by itself.
func TestHandover_ToALoginThatGaveUpLeavesNoEntryBehind(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a, c := newGiver(t, o, "a", b.URL(), false, lease), join(t, o, "c", cluster.Config{URL: b.URL()})
	a.handsOverTooLate(c, "x")
	eventually(t, "the close is given up", func() bool { return a.closedLate.Load() > 0 })
	a.logout("x")
	eventually(t, "the entry is gone", func() bool {
		_, err := c.node.Lookup(t.Context(), "x")
		return err != nil
	})
	require.Equal(t, "nothing", c.loginWith("x"))
}

func TestHandover_ToALoginThatGaveUpIsKeptForTheNextOne(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	d := join(t, o, "d", cluster.Config{URL: b.URL()})
	a := keptSession(t, o, b.URL(), c)
	require.Equal(t, "x kept", d.loginWith("x"))
	require.Equal(t, "nothing", c.loginWith("x"), "d hands nothing over")
	require.Zero(t, o.doubled())
	require.Equal(t, "nothing", a.loginWith("x"), "it was handed over already")
}

func TestHandover_ToALoginThatGaveUpIsKeptForItsOwnNode(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a := keptSession(t, o, b.URL(), c)
	require.Equal(t, "x kept", a.loginWith("x"))
	e, err := c.node.Lookup(within(t, patience), "x")
	require.NoError(t, err)
	require.Equal(t, a.token("x"), e.Token)
}

func TestHandover_ReachesALoginThatFindsTheLeaseLost(t *testing.T) {
	t.Parallel()
	b := broker(t)
	p := between(t, b.URL())
	a := newSite(t, newObserver())
	cut := func() { // the login's entry is written, and its session has not begun
		p.hold()
		eventually(t, "the lease is lost", isolated(a))
	}
	a.joins(within(t, patience), "a", cluster.Config{URL: p.url(), DegradedLogin: cluster.AllowLogin, Local: ready{a, cut}})
	a.mustLogin("x")
	require.Equal(t, "kept", a.loginWith("x"))
	p.heal()
}

func TestHandover_WhoseReplyIsLostIsKept(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, c := newKeeper(t, "a", b.URL(), "kept"), join(t, newObserver(), "c", cluster.Config{URL: b.URL()})
	s := a.login(t.Context(), t, "x")
	token := s.Token()
	nc, js := b.jetstream(t)
	entries, err := js.KeyValue(t.Context(), "sessions_dir")
	require.NoError(t, err)
	e, err := entries.Get(t.Context(), "s.x")
	require.NoError(t, err)
	for range 2 {
		evict := fmt.Sprintf(`{"key": "s.x", "token": %d, "rev": %d, "reason": "Replaced", "wait": 10000}`, token, e.Revision())
		reply, err := nc.Request("sessions.node."+epoch(t, c, "a")+".evict", []byte(evict), patience)
		require.NoError(t, err)
		require.Contains(t, string(reply.Data), `"ok":true`)
	}
	require.Equal(t, pool.Replaced, s.Reason())
	_, err = c.node.Lookup(within(t, patience), "x")
	require.NoError(t, err, "the entry stays")
	require.Equal(t, "kept", c.loginWith("x"))
	require.EqualValues(t, 1, a.handedOver.Load())

	var state []byte
	a.login(cluster.WithHandover(t.Context(), into(&state)), t, "x")
	require.Empty(t, state, "it is what a session before c's has handed over")
}

func TestHandover_ThatIsKeptEndsWithTheNode(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a := keptSession(t, o, b.URL(), c)
	require.ErrorIs(t, c.node.Kick(within(t, patience), "x", "Kicked"), cluster.ErrNotFound)
	require.NoError(t, a.node.Leave(within(t, patience)))
	_, err := c.node.Lookup(within(t, patience), "x")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	require.Equal(t, "nothing", c.loginWith("x"))
}
