package pool_test

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// onceSessions returns how many sessions are registered in all.
func onceSessions() int {
	switch {
	case testing.Short():
		return 20_000
	case harness.RaceDetector:
		return 50_000
	default:
		return 1_000_000
	}
}

// onceAccount records what became of one session.
type onceAccount struct {
	ledgerAccount
	promised atomic.Int64 // by a Touch that reported true: no timeout before; in time since the start
	ended    atomic.Int64 // when OnSessionClosed was called
	reason   atomic.Pointer[pool.Reason]
	wrong    atomic.Bool
}

type (
	oncePool    = pool.Pool[int, *onceAccount]
	onceSession = pool.Session[int, *onceAccount]
)

// onceRun is a pool that many goroutines use at once.
type onceRun struct {
	*oncePool
	start    time.Time
	idle     time.Duration
	ids      int
	accounts []onceAccount
	next     atomic.Int64 // of the accounts, to register
	front    atomic.Int64 // of the accounts, to come due
	kept     atomic.Int64 // touches that reported true
	lost     atomic.Int64 // and false
	kicked   atomic.Int64
	down     atomic.Bool
}

func (o *onceRun) elapsed() time.Duration { return time.Since(o.start) }

func (o *onceRun) registered(s *onceSession) {
	if a := s.Conn(); a.registered.Add(1) != 1 || a.told.Load() != 0 {
		a.wrong.Store(true)
	}
}

func (o *onceRun) closed(s *onceSession, r pool.Reason) {
	a := s.Conn()
	a.ended.Store(int64(o.elapsed()))
	a.reason.Store(&r)
	if a.told.Add(1) != 1 || a.registered.Load() != 1 || a.closes.Load() != 1 || s.Reason() != r || s.Touch() {
		a.wrong.Store(true)
	}
}

// register registers the next account; the IDs are taken in turn, and then
// taken over at random.
func (o *onceRun) register() {
	i := int(o.next.Add(1) - 1)
	if i >= len(o.accounts) {
		time.Sleep(time.Millisecond)
		return
	}
	id := i
	if i >= o.ids {
		id = rand.N(o.ids)
	}
	a := &o.accounts[i]
	a.promised.Store(int64(o.elapsed() + o.idle))
	_, err := o.Register(id, a)
	a.returned.Store(err == nil)
	if err != nil && !errors.Is(err, pool.ErrPoolClosed) {
		a.wrong.Store(true)
	}
}

// followFront touches the sessions that were registered first as they come due,
// in the order in which the wheel finds them.
func (o *onceRun) followFront() {
	i := int(o.front.Add(1)-1) % o.ids
	a := &o.accounts[i]
	due := time.Duration(a.promised.Load())
	if due == 0 { // not registered yet
		o.front.Store(0)
		o.touch()
		return
	}
	at := due.Truncate(harness.Tick) + harness.Tick
	if now := o.elapsed(); at > now && at-now < o.idle/2 {
		time.Sleep(at - now)
	}
	o.touchID(i)
}

// touch touches a random session, unless it is in the third of them that is silent
// for now. That third changes once in an idle timeout.
func (o *onceRun) touch() {
	id := rand.N(o.ids)
	if (id+int(o.elapsed()/o.idle))%3 != 0 {
		o.touchID(id)
	}
}

func (o *onceRun) touchID(id int) {
	now := o.elapsed()
	s, ok := o.Get(id)
	if !ok {
		return
	}
	a := s.Conn()
	if !s.Touch() {
		o.lost.Add(1)
		if s.Reason() == "" {
			a.wrong.Store(true)
		}
		return
	}
	o.kept.Add(1)
	until := int64(now + o.idle)
	for old := a.promised.Load(); old < until && !a.promised.CompareAndSwap(old, until); old = a.promised.Load() {
	}
}

func (o *onceRun) kick() {
	for range 20 { // far more are touched than kicked
		o.touch()
	}
	if o.kicked.Load() > int64(len(o.accounts)/4) { // enough are left to time out, however slow the rest is
		return
	}
	if s, ok := o.Get(rand.N(o.ids)); ok && s.Close("Kicked") {
		s.Conn().won.Add(1)
		o.kicked.Add(1)
	}
}

// judge goes through all accounts once the pool is shut down, and counts the
// sessions by reason.
func (o *onceRun) judge(t *testing.T) {
	t.Helper()
	reasons := make(map[pool.Reason]uint64)
	sessions := uint64(0)
	for i := range o.accounts {
		a := &o.accounts[i]
		n := int32(0)
		if a.returned.Load() {
			n = 1
			sessions++
		}
		if a.registered.Load() != n || a.told.Load() != n || a.closes.Load() != n || a.wrong.Load() {
			require.Failf(t, "an account does not balance", "registered %d, new %d, told %d, closes %d, wrong %v",
				n, a.registered.Load(), a.told.Load(), a.closes.Load(), a.wrong.Load())
		}
		if n == 0 {
			continue
		}
		r := *a.reason.Load()
		reasons[r]++
		if kicked := r == "Kicked"; kicked != (a.won.Load() == 1) {
			require.Failf(t, "a session ended with another reason than its close", "%s, won %d", r, a.won.Load())
		}
		if r == pool.Timeout && a.ended.Load() < a.promised.Load() {
			require.Failf(t, "a session timed out early", "%v before a Touch had promised",
				time.Duration(a.promised.Load()-a.ended.Load()))
		}
	}
	st := o.Stats()
	require.Equal(t, reasons, st.ByReason)
	require.Equal(t, sessions, st.Registered)
	require.Equal(t, sessions, st.Closed)
	require.Zero(t, st.Sessions)
	for _, r := range []pool.Reason{pool.Timeout, pool.Replaced, pool.Shutdown, "Kicked"} {
		require.NotZero(t, reasons[r], "no session ended with %s: nothing was shown about it", r)
	}
}

// Activity, takeovers, kicks, timeouts and a shutdown race on real time over as
// many sessions as a server may have: a million, and fewer under the race
// detector.
func TestSessions_OfAMillionEachEndsOnceAndTheCountsBalance(t *testing.T) {
	o := &onceRun{start: time.Now(), accounts: make([]onceAccount, onceSessions())}
	o.ids = len(o.accounts) * 4 / 5
	o.idle = time.Second
	var err error
	o.oncePool, err = pool.New(pool.Config[int, *onceAccount]{
		IdleTimeout: o.idle, OnDuplicate: pool.Replace,
		OnNewSessionRegister: o.registered, OnSessionClosed: o.closed,
	})
	require.NoError(t, err)
	most := 0
	work := []func(){o.register, o.register, o.register, o.touch, o.followFront, o.kick}
	together(len(work)+1, func(i int) {
		if i < len(work) {
			for !o.down.Load() {
				work[i]()
			}
			return
		}
		// Shuts down in the middle of it, once enough of everything has happened.
		defer o.down.Store(true)
		for {
			most = max(most, o.Len())
			st := o.Stats()
			if o.next.Load() > int64(len(o.accounts)) && st.ByReason[pool.Timeout] > uint64(len(o.accounts)/10) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		shutDown(t, o)
	})
	o.judge(t)
	t.Logf("%d sessions, %d at once: %v; %d touches kept one and %d came too late; took %v", len(o.accounts), most,
		o.Stats().ByReason, o.kept.Load(), o.lost.Load(), o.elapsed())
}
