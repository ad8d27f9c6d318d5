package pool_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	manySessions = 8000
	manyIdle     = time.Minute
	manyWarning  = 10 * time.Second
)

// manyWarnings are many sessions that become idle together. Most calls of OnIdle are
// quick, so that the goroutines of the wheel take many sessions at once.
type manyWarnings struct {
	p     *testPool
	start time.Time

	mu sync.Mutex
	// Guarded by mu.
	calls    int
	sessions []*testSession
	told     [][]time.Duration // of each session
	ended    []time.Duration
}

// newManyWarnings calls f in OnIdle, with how often that was called before.
func newManyWarnings(t *testing.T, places int, f func(mw *manyWarnings, calls int)) *manyWarnings {
	mw := &manyWarnings{
		start: time.Now(), sessions: make([]*testSession, manySessions),
		told: make([][]time.Duration, manySessions), ended: make([]time.Duration, manySessions),
	}
	mw.p = newPool(t, testConfig{
		Wheel:       harness.NewWheel(t, wheel.Config{MaxCallbacks: places}),
		IdleTimeout: manyIdle, IdleWarning: manyWarning,
		OnIdle: func(s *testSession) {
			mw.mu.Lock()
			mw.told[s.ID()] = append(mw.told[s.ID()], time.Since(mw.start))
			calls := mw.calls
			mw.calls++
			mw.mu.Unlock()
			f(mw, calls)
		},
		OnSessionClosed: func(s *testSession, _ pool.Reason) {
			mw.mu.Lock()
			defer mw.mu.Unlock()
			mw.ended[s.ID()] = time.Since(mw.start)
		},
	})
	mw.mu.Lock()
	defer mw.mu.Unlock()
	for id := range mw.sessions {
		mw.sessions[id] = mustRegister(t, mw.p, id)
	}
	return mw
}

func TestOnIdle_LeavesTheWarningHoweverLateItIs(t *testing.T) {
	for _, places := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("%d places", places), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				mw := newManyWarnings(t, places, func(_ *manyWarnings, calls int) {
					if calls >= manySessions-100 {
						time.Sleep(time.Second)
					}
				})
				time.Sleep(time.Hour)
				synctest.Wait()
				mw.mu.Lock()
				defer mw.mu.Unlock()
				short := 0
				for id, told := range mw.told {
					if len(told) != 1 || mw.ended[id] < told[0]+manyWarning {
						short++
					}
				}
				require.Zero(t, short)
			})
		})
	}
}

// While some sessions wait for their OnIdle, they are touched, pinned, given another
// timeout and closed.
func TestOnIdle_IsNotCalledForASessionThatIsNoLongerIdle(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const kinds = 4
		var waiting []*testSession // when OnIdle had been called for half of all
		mw := newManyWarnings(t, 1, func(mw *manyWarnings, calls int) {
			if calls != manySessions/2 {
				return
			}
			mw.mu.Lock()
			for id, s := range mw.sessions {
				if len(mw.told[id]) == 0 {
					waiting = append(waiting, s)
				}
			}
			mw.mu.Unlock()
			for _, s := range waiting {
				switch s.ID() % kinds {
				case 0:
					s.Touch()
				case 1:
					s.Pin()
				case 2:
					s.SetIdleTimeout(2 * time.Hour)
				case 3:
					s.Close("Bye")
				}
			}
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		mw.mu.Lock()
		const warned, end = manyIdle - manyWarning, manyIdle
		require.Len(t, waiting, manySessions/2-1)
		wrong := 0
		for _, s := range waiting {
			told, ended := mw.told[s.ID()], mw.ended[s.ID()]
			switch s.ID() % kinds {
			case 0:
				if len(told) != 1 || told[0] < warned+warned || ended < warned+end {
					wrong++
				}
			case 1, 2:
				if len(told) != 0 || ended != 0 {
					wrong++
				}
			case 3:
				if len(told) != 0 {
					wrong++
				}
			}
		}
		mw.mu.Unlock()
		require.Zero(t, wrong)
		for _, s := range waiting {
			if s.ID()%kinds == 1 {
				s.Unpin()
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		mw.mu.Lock()
		defer mw.mu.Unlock()
		for _, s := range waiting {
			if told := len(mw.told[s.ID()]); told != 1 && s.ID()%kinds != 3 {
				wrong++
			}
		}
		require.Zero(t, wrong)
	})
}
