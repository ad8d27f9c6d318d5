package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

// ledger has an account for each session that is ever registered, under the ID of
// its connection.
type ledger struct {
	accounts []ledgerAccount
}

type ledgerAccount struct {
	testConn
	registered atomic.Int32 // OnNewSessionRegister
	told       atomic.Int32 // OnSessionClosed
	won        atomic.Int32 // Close or CloseSession that reported true
	returned   atomic.Bool  // from Register, without an error
	disorder   atomic.Bool
}

type (
	ledgerConfig  = pool.Config[int, *ledgerAccount]
	ledgerSession = pool.Session[int, *ledgerAccount]
)

func newLedger(n int, c *ledgerConfig) *ledger {
	c.OnNewSessionRegister = func(s *ledgerSession) {
		a := s.Conn()
		if a.registered.Add(1) != 1 || a.told.Load() != 0 {
			a.disorder.Store(true)
		}
	}
	c.OnSessionClosed = func(s *ledgerSession, r pool.Reason) {
		a := s.Conn()
		if a.told.Add(1) != 1 || a.registered.Load() != 1 || a.closes.Load() != 1 || s.Reason() != r || s.Touch() {
			a.disorder.Store(true)
		}
	}
	return &ledger{accounts: make([]ledgerAccount, n)}
}

// audit checks each account after the pool was shut down, and returns how many
// sessions there were and how many closes were won by a call.
func (l *ledger) audit(t *testing.T, st pool.Stats) (sessions, won int) {
	t.Helper()
	for i := range l.accounts {
		a := &l.accounts[i]
		want := int32(0)
		if a.returned.Load() {
			want = 1
			sessions++
		}
		if a.registered.Load() != want || a.told.Load() != want || a.closes.Load() != want || a.won.Load() > want || a.disorder.Load() {
			require.Failf(t, "an account does not balance", "returned %v, new %d, told %d, closes %d, won %d, disorder %v",
				a.returned.Load(), a.registered.Load(), a.told.Load(), a.closes.Load(), a.won.Load(), a.disorder.Load())
		}
		won += int(a.won.Load())
	}
	sum := uint64(0)
	for _, n := range st.ByReason {
		sum += n
	}
	require.EqualValues(t, sessions, st.Registered)
	require.EqualValues(t, sessions, st.Closed)
	require.EqualValues(t, sessions, sum)
	require.Zero(t, st.Sessions)
	return sessions, won
}

// shutDown shuts p down, and fails if that takes far too long.
func shutDown(t *testing.T, p interface{ Shutdown(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, p.Shutdown(ctx))
}

// together runs f on n goroutines that start at the same time.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	wg.Wait()
}

// enough is set after half a second of real time. On a machine that is busy with other
// things each step of abreast may take milliseconds, which both sides spend in a busy
// loop. Call it outside of a bubble, whose time would stand still meanwhile.
func enough() *atomic.Bool {
	over := new(atomic.Bool)
	time.AfterFunc(time.Second/2, func() { over.Store(true) })
	return over
}

// abreast runs up to n steps on two goroutines side by side until over is set, but at
// least 100. Both start each step at the same time, but for a few nanoseconds that differ
// from step to step, so that all overlaps are tried. It returns how many steps were done.
func abreast(n int, over *atomic.Bool, f func(step, side int)) int {
	var arrived, done atomic.Int64
	done.Store(int64(n))
	var skew [2]int // what the compiler must not leave out
	together(2, func(side int) {
		for step := range n {
			if side == 0 && step >= 100 && over.Load() {
				done.Store(int64(step))
			}
			arrived.Add(1)
			for spins := 1; arrived.Load() < int64(2*step+2); spins++ {
				if spins%1000 == 0 {
					runtime.Gosched()
				}
			}
			if done.Load() == int64(step) {
				return
			}
			if side == step&1 {
				for range step / 2 % 128 {
					skew[side]++
				}
			}
			f(step, side)
		}
	})
	return int(done.Load())
}

// Touches, kicks, takeovers, holds, timeouts, lifetimes and a shutdown, all at
// once and on real time.
func TestSessions_EachOfManyEndsExactlyOnce(t *testing.T) {
	const sessions, workers, ids = 20_000, 6, 5_000
	c := ledgerConfig{
		IdleTimeout: 60 * time.Millisecond, MaxLifetime: 400 * time.Millisecond,
		MaxSessions: ids - 500, OnDuplicate: pool.Replace,
	}
	l := newLedger(sessions, &c)
	p, err := pool.New(c)
	require.NoError(t, err)
	var next, wrong atomic.Int64
	var down atomic.Bool
	together(workers+1, func(w int) {
		if w == workers { // watches, and shuts down when nearly all are registered
			for next.Load() < sessions*19/20 {
				if n := p.Len(); n < 0 || n > c.MaxSessions {
					wrong.Add(1)
				}
				time.Sleep(time.Millisecond)
			}
			shutDown(t, p)
			down.Store(true)
			return
		}
		for !down.Load() {
			id := rand.N(ids)
			switch rand.N(8) {
			case 0, 1:
				i := next.Add(1) - 1
				if i >= sessions {
					runtime.Gosched()
					break
				}
				_, err := p.Register(id, &l.accounts[i])
				l.accounts[i].returned.Store(err == nil)
				if err != nil && !errors.Is(err, pool.ErrPoolClosed) && !errors.Is(err, pool.ErrFull) {
					wrong.Add(1)
				}
				if i%100 == 0 {
					time.Sleep(5 * time.Millisecond) // lets some of them time out
				}
			case 2:
				if s, ok := p.Get(id); ok && s.Close("Kicked") {
					s.Conn().won.Add(1)
				}
			case 3:
				if s, ok := p.Get(id); ok {
					release := s.Hold()
					s.SetIdleTimeout(rand.N(100 * time.Millisecond))
					release()
				}
			default:
				if s, ok := p.Get(id); ok && !s.Touch() && s.Reason() == "" {
					wrong.Add(1)
				}
			}
		}
	})
	require.Zero(t, wrong.Load())
	st := p.Stats()
	n, won := l.audit(t, st)
	require.EqualValues(t, won, st.ByReason["Kicked"])
	require.NotZero(t, n)
	t.Logf("%d sessions: %v", n, st.ByReason)
}
