package pool_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestClose_OfManyAtOnceOneWins(t *testing.T) {
	c := ledgerConfig{}
	const sessions = 10_000
	l := newLedger(sessions, &c)
	p, err := pool.New(c)
	require.NoError(t, err)
	all := make([]*ledgerSession, sessions)
	for i := range all {
		all[i], err = p.Register(i, &l.accounts[i])
		require.NoError(t, err)
		l.accounts[i].returned.Store(true)
	}
	var wrong atomic.Int64
	done := abreast(sessions, enough(), func(i, side int) {
		s := all[i]
		reason := pool.Reason([]string{"by ID", "itself"}[side])
		if side == 0 && p.CloseSession(i, reason) || side == 1 && s.Close(reason) {
			s.Conn().won.Add(1)
			if s.Reason() != reason {
				wrong.Add(1)
			}
		} else if s.Reason() == reason || s.Reason() == "" {
			wrong.Add(1)
		}
	})
	require.Zero(t, wrong.Load(), "the reason is not the winner's")
	shutDown(t, p)
	_, won := l.audit(t, p.Stats())
	require.Equal(t, done, won)
}

// In a bubble all sessions come due and are touched at the same instant, on several
// processors.
func TestTouch_ThatReportsTrueOutlivesTheOldDeadline(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const sessions, rounds = 500, 20
		const idle = 10 * harness.Tick
		start := time.Now()
		var ended [sessions]atomic.Int64
		p := newPool(t, testConfig{IdleTimeout: idle, OnSessionClosed: func(s *testSession, _ pool.Reason) {
			ended[s.ID()].Store(int64(time.Since(start)))
		}})
		var kept, lost, wrong atomic.Int64
		var wg sync.WaitGroup
		for id := range sessions {
			s := mustRegister(t, p, id)
			wg.Go(func() {
				touched := time.Duration(0)
				for range rounds {
					time.Sleep(idle)
					ok := s.Touch()
					switch {
					case !ok && s.Reason() != pool.Timeout, ok && s.Reason() == pool.Timeout:
						wrong.Add(1)
						return
					case !ok:
						lost.Add(1)
						<-s.Done()
						if at := time.Duration(ended[id].Load()); at < touched+idle || at > touched+idle+harness.Tick {
							wrong.Add(1)
						}
						return
					}
					touched = time.Since(start)
					kept.Add(1)
				}
				<-s.Done()
				if at := time.Duration(ended[id].Load()); at < touched+idle || at > touched+idle+harness.Tick {
					wrong.Add(1)
				}
			})
		}
		wg.Wait()
		require.Zero(t, wrong.Load())
		t.Logf("%d touches won, %d lost", kept.Load(), lost.Load())
	})
}

func TestTouch_ThatReportsTrueOutlivesTheOldDeadlineOnRealTime(t *testing.T) {
	t.Parallel() // it mostly sleeps
	const sessions, idle = 200, 15 * time.Millisecond
	type ending struct {
		r  pool.Reason
		at time.Time
	}
	endings := make([]chan ending, sessions*100)
	p := newPool(t, testConfig{IdleTimeout: idle, OnSessionClosed: func(s *testSession, r pool.Reason) {
		endings[s.ID()] <- ending{r, time.Now()}
	}})
	stop := time.Now().Add(time.Second)
	var early, open, lost atomic.Int64
	together(sessions, func(i int) {
		for id := i; id < len(endings) && time.Now().Before(stop); id += sessions {
			endings[id] = make(chan ending, 1)
			touched := time.Now()
			s, err := p.Register(id, new(testConn))
			if err != nil {
				open.Add(1)
				return
			}
			for time.Now().Before(stop) {
				time.Sleep(idle*9/10 + rand.N(idle/5))
				before := time.Now()
				if !s.Touch() {
					lost.Add(1)
					if s.Reason() != pool.Timeout {
						open.Add(1)
					}
					break
				}
				touched = before
			}
			if e := <-endings[id]; e.r != pool.Timeout || e.at.Sub(touched) < idle {
				early.Add(1)
			}
		}
	})
	require.Zero(t, early.Load())
	require.Zero(t, open.Load(), "a Touch that reported false was on a session that was not closing")
	require.NotZero(t, lost.Load())
}

// The slot of a timer due at 1.001s comes up at 1.010s, just when all sessions
// are unpinned: a whole idle timeout has passed by then.
func TestUnpin_AsTheTimerFiresGivesAWholeIdleTimeout(t *testing.T) {
	for _, holds := range []bool{false, true} {
		t.Run(fmt.Sprintf("hold=%v", holds), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				const sessions, idle = 2000, 1001 * time.Millisecond
				start := time.Now()
				var early atomic.Int64
				p := newPool(t, testConfig{IdleTimeout: idle, OnSessionClosed: func(s *testSession, r pool.Reason) {
					if r != pool.Shutdown && time.Since(start) < 1010*time.Millisecond+idle {
						early.Add(1)
					}
				}})
				for id := range sessions {
					s := mustRegister(t, p, id)
					release := s.Unpin
					if holds {
						release = s.Hold()
					} else {
						s.Pin()
					}
					go func() {
						time.Sleep(time.Until(start.Add(1010 * time.Millisecond)))
						release()
					}()
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Zero(t, early.Load())
				require.Zero(t, p.Len())
			})
		})
	}
}

func TestClose_AsTheTimerFiresLeavesNoTimer(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const sessions, idle = 2000, 10 * harness.Tick
		w := harness.NewWheel(t, wheel.Config{})
		p := newPool(t, testConfig{Wheel: w, IdleTimeout: idle})
		for id := range sessions {
			s := mustRegister(t, p, id)
			s.Pin() // so that the firing would arm it again
			go func() {
				time.Sleep(idle)
				s.Close("Bye")
			}()
		}
		time.Sleep(idle + harness.Tick)
		synctest.Wait()
		require.Zero(t, p.Len())
		require.Zero(t, w.Len())
	})
}

func TestMaxSessions_IsExactHoweverManyRegisterAtOnce(t *testing.T) {
	const limit, workers = 3, 6
	p := newPool(t, testConfig{MaxSessions: limit})
	var in, over, wrong, full atomic.Int64
	end := time.Now().Add(time.Second)
	together(workers, func(w int) {
		conn := new(testConn)
		for i := 0; i%100 != 0 || time.Now().Before(end); i++ {
			s, err := p.Register(i*workers+w, conn)
			if n := p.Len(); n < 0 || n > limit {
				wrong.Add(1)
			}
			switch {
			case errors.Is(err, pool.ErrFull):
				full.Add(1)
				continue
			case err != nil:
				wrong.Add(1)
				return
			}
			if in.Add(1) > limit {
				over.Add(1)
			}
			if i%16 == 0 {
				runtime.Gosched() // so that others find the pool full
			}
			in.Add(-1)
			s.Close("Bye")
		}
	})
	require.Zero(t, over.Load())
	require.Zero(t, wrong.Load())
	require.NotZero(t, full.Load())
	require.Zero(t, p.Len())
	for id := range limit {
		mustRegister(t, p, -1-id)
	}
	_, err := p.Register(0, new(testConn))
	require.ErrorIs(t, err, pool.ErrFull)
}

func TestStats_NeverShowMoreClosedThanRegistered(t *testing.T) {
	p := newPool(t, testConfig{})
	var wrong atomic.Int64
	end := time.Now().Add(300 * time.Millisecond)
	together(2, func(side int) {
		conn := new(testConn)
		for id := 0; time.Now().Before(end); id++ {
			if side == 0 {
				if s, err := p.Register(id, conn); err != nil || !s.Close("Bye") {
					wrong.Add(1)
				}
			} else if st := p.Stats(); st.Closed > st.Registered {
				wrong.Add(1)
			}
		}
	})
	require.Zero(t, wrong.Load())
}

func TestSetIdleTimeout_BesideATouchHolds(t *testing.T) {
	p := newPool(t, testConfig{IdleTimeout: time.Hour})
	all := make([]*testSession, 10_000)
	for i := range all {
		all[i] = mustRegister(t, p, i)
	}
	done := abreast(len(all), enough(), func(i, side int) {
		if side == 0 {
			all[i].Touch()
		} else {
			all[i].SetIdleTimeout(50 * time.Millisecond)
		}
	})
	require.Eventually(t, func() bool { return p.Len() == len(all)-done }, 30*time.Second, 10*time.Millisecond)
}

func TestShutdown_LetsNoSessionBeRegisteredAfterIt(t *testing.T) {
	for range 80 {
		c := ledgerConfig{OnDuplicate: pool.Replace}
		const workers, each = 6, 100
		l := newLedger(workers*each, &c)
		p, err := pool.New(c)
		require.NoError(t, err)
		var wrong atomic.Int64
		together(workers+1, func(w int) {
			if w == workers {
				for p.Len() < 20 {
					runtime.Gosched()
				}
				shutDown(t, p)
				if p.Len() != 0 {
					wrong.Add(1)
				}
				return
			}
			for i := range each {
				a := &l.accounts[w*each+i]
				_, err := p.Register(rand.N(workers*each/2), a)
				switch {
				case err == nil:
					a.returned.Store(true)
				case !errors.Is(err, pool.ErrPoolClosed):
					wrong.Add(1)
				}
			}
		})
		require.Zero(t, wrong.Load())
		require.Zero(t, p.Len(), "a session was born after Shutdown")
		l.audit(t, p.Stats())
	}
}

func TestReplace_NeverRemovesTheOneThatTookOver(t *testing.T) {
	c := ledgerConfig{OnDuplicate: pool.Replace}
	const rounds, workers = 1000, 4
	l := newLedger(rounds*workers, &c)
	p, err := pool.New(c)
	require.NoError(t, err)
	for round := range rounds {
		together(workers, func(w int) {
			a := &l.accounts[round*workers+w]
			s, err := p.Register(1, a)
			if err != nil {
				return
			}
			a.returned.Store(true)
			if w%2 == 0 && s.Close("Bye") {
				a.won.Add(1)
			}
		})
		s, ok := p.Get(1)
		if open := p.Len(); ok != (open == 1) || open > 1 || ok && s.Reason() != "" {
			require.Fail(t, "the map and Len differ, or hold a closed session", "found %v, Len %d", ok, open)
		}
	}
	shutDown(t, p)
	sessions, _ := l.audit(t, p.Stats())
	require.Equal(t, rounds*workers, sessions)
}
