package soak

import (
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// ledger has an account for each session that is ever registered. Its times are
// since start, on the monotonic clock.
type ledger struct {
	start    time.Time
	accounts []account
}

// account is the connection of one session and what became of it.
type account struct {
	book *ledger

	registered atomic.Bool  // Register returned it without an error
	born       atomic.Int32 // OnNewSessionRegister
	closes     atomic.Int32 // of the connection
	told       atomic.Int32 // OnSessionClosed
	won        atomic.Int32 // calls that reported to have closed it
	disorder   atomic.Bool  // a callback found what must not be

	alive atomic.Int64 // before the last activity that was granted
	ended atomic.Int64 // when OnSessionClosed was first called

	reason pool.Reason // written by the first OnSessionClosed; read after Shutdown
}

type (
	ledgerConfig  = pool.Config[int, *account]
	ledgerSession = pool.Session[int, *account]
)

func newLedger(n int) *ledger {
	l := &ledger{start: time.Now(), accounts: make([]account, n)}
	for i := range l.accounts {
		l.accounts[i].book = l
	}
	return l
}

func (l *ledger) now() int64 { return int64(time.Since(l.start)) }

// Close is called by the pool.
func (a *account) Close() error {
	a.closes.Add(1)
	return nil
}

// keep has the callbacks of c write into the accounts.
func (l *ledger) keep(c *ledgerConfig) {
	c.OnNewSessionRegister = func(s *ledgerSession) {
		a := s.Conn()
		if a.born.Add(1) != 1 || a.told.Load() != 0 {
			a.disorder.Store(true)
		}
	}
	c.OnSessionClosed = func(s *ledgerSession, r pool.Reason) {
		a, now := s.Conn(), l.now()
		if a.told.Add(1) != 1 {
			return
		}
		a.ended.Store(now)
		a.reason = r
		if a.born.Load() != 1 || a.closes.Load() != 1 || s.Reason() != r || s.Touch() {
			a.disorder.Store(true)
		}
	}
}

// register registers a session for the account under an ID.
func (l *ledger) register(p *pool.Pool[int, *account], id int, a *account) (*ledgerSession, error) {
	before := l.now()
	s, err := p.Register(id, a)
	if err == nil {
		a.granted(before)
		a.registered.Store(true)
	}
	return s, err
}

// touch touches the session and notes that it was granted.
func (l *ledger) touch(s *ledgerSession) bool {
	before := l.now()
	if !s.Touch() {
		return false
	}
	s.Conn().granted(before)
	return true
}

func (a *account) granted(before int64) {
	for old := a.alive.Load(); before > old; old = a.alive.Load() {
		if a.alive.CompareAndSwap(old, before) {
			return
		}
	}
}

// audit judges every account and the pool's own figures. Call it after Shutdown
// and when no method is called any more. latest is how late the latest
// timeout was.
func (l *ledger) audit(idle time.Duration, st pool.Stats) (timedOut int, latest time.Duration, err error) {
	sessions := 0
	for i := range l.accounts {
		a := &l.accounts[i]
		want := int32(0)
		if a.registered.Load() {
			want = 1
			sessions++
		}
		if a.born.Load() != want || a.told.Load() != want || a.closes.Load() != want || a.won.Load() > want || a.disorder.Load() {
			return 0, 0, broken(exactlyOnce,
				"session %d: registered %v, OnNewSessionRegister %d, closes %d, OnSessionClosed %d, won %d, out of order %v",
				i, a.registered.Load(), a.born.Load(), a.closes.Load(), a.told.Load(), a.won.Load(), a.disorder.Load())
		}
		if want == 0 || a.reason != pool.Timeout {
			continue
		}
		timedOut++
		if after := time.Duration(a.ended.Load() - a.alive.Load()); after < idle {
			return 0, 0, broken(neverEarly, "session %d timed out %v after its last activity; its idle timeout is %v", i, after, idle)
		}
		latest = max(latest, time.Duration(a.ended.Load()-a.alive.Load())-idle)
	}
	sum := uint64(0)
	for _, n := range st.ByReason {
		sum += n
	}
	if n := uint64(sessions); st.Registered != n || st.Closed != n || sum != n || st.Sessions != 0 {
		return 0, 0, broken(exactlyOnce, "%d sessions were registered; the pool counts %d registered, %d closed, %d by reason, %d in it",
			n, st.Registered, st.Closed, sum, st.Sessions)
	}
	return timedOut, latest, nil
}
