package sessionwheel_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

// poolLedger has an account for each session that is ever registered, under the
// ID of its connection.
type poolLedger struct {
	accounts []poolAccount
}

type poolAccount struct {
	poolConn
	registered atomic.Int32 // OnNewSessionRegister
	told       atomic.Int32 // OnSessionClosed
	won        atomic.Int32 // Close or CloseSession that reported true
	returned   atomic.Bool  // from Register, without an error
	disorder   atomic.Bool
}

type (
	poolLedgerConfig  = pool.Config[int, *poolAccount]
	poolLedgerSession = pool.Session[int, *poolAccount]
)

func poolLedgerOf(n int, c *poolLedgerConfig) *poolLedger {
	c.OnNewSessionRegister = func(s *poolLedgerSession) {
		a := s.Conn()
		if a.registered.Add(1) != 1 || a.told.Load() != 0 {
			a.disorder.Store(true)
		}
	}
	c.OnSessionClosed = func(s *poolLedgerSession, r pool.Reason) {
		a := s.Conn()
		if a.told.Add(1) != 1 || a.registered.Load() != 1 || a.closes.Load() != 1 || s.Reason() != r || s.Touch() {
			a.disorder.Store(true)
		}
	}
	return &poolLedger{accounts: make([]poolAccount, n)}
}

// audit checks each account after the pool was shut down, and returns how many
// sessions there were and how many closes were won by a call.
func (l *poolLedger) audit(t *testing.T, st pool.Stats) (sessions, won int) {
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

// poolShutdown shuts p down, and fails when that takes far too long.
func poolShutdown(t *testing.T, p interface{ Shutdown(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, p.Shutdown(ctx))
}

// poolTogether runs f on n goroutines, which begin at the same time.
func poolTogether(n int, f func(i int)) {
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

// poolAbreast has two goroutines go through up to n steps side by side, for as
// long as a second. Each step begins at the same time on both, but for a few
// nanoseconds that differ from step to step, so that all overlaps are tried. It
// returns how many steps were done.
func poolAbreast(n int, f func(step, side int)) int {
	var arrived, done atomic.Int64
	done.Store(int64(n))
	end := time.Now().Add(time.Second)
	var skew [2]int // what the compiler must not leave out
	poolTogether(2, func(side int) {
		for step := range n {
			if side == 0 && time.Now().After(end) {
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
