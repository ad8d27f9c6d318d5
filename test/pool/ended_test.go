package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// idIsFree checks that nothing is left of a session whose Touch has reported
// false, and that its ID can be registered.
func idIsFree(p *testPool, s *testSession) error {
	if got, ok := p.Get(s.ID()); ok && got == s {
		return errors.New("Get has found the closed session")
	}
	if s.Reason() == "" {
		return errors.New("it has no reason")
	}
	_, err := p.Register(s.ID(), new(testConn))
	return err
}

func TestTouch_ThatReportsFalseFindsTheIDFree(t *testing.T) {
	for _, cause := range closeCauses {
		if cause.reason == pool.Replaced || cause.reason == pool.Shutdown {
			continue // the ID is taken by another session, or by none ever
		}
		t.Run(string(cause.reason), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				gate := make(chan struct{})
				defer close(gate)
				p := newPool(t, testConfig{IdleTimeout: poolIdle, MaxLifetime: poolLife})
				s, err := p.Register(1, &testConn{onClose: func() { <-gate }})
				require.NoError(t, err)
				go cause.end(p, s)
				time.Sleep(2 * poolLife)
				synctest.Wait()
				require.Equal(t, cause.reason, s.Reason())
				require.False(t, hasEnded(s), "its connection is still being closed")
				require.False(t, s.Touch())
				require.NoError(t, idIsFree(p, s))
			})
		})
	}
}

func TestTouch_ThatReportsFalseFindsTheIDFreeOnRealTime(t *testing.T) {
	const idle = 5 * time.Millisecond
	p := newPool(t, testConfig{IdleTimeout: idle})
	var mu sync.Mutex
	var first error
	failed := func(err error) bool {
		mu.Lock()
		defer mu.Unlock()
		if err != nil && first == nil {
			first = err
		}
		return first != nil
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { // closed beside a Touch
			for range 5_000 {
				s, err := p.Register(i, new(testConn))
				if failed(err) {
					return
				}
				closed := make(chan struct{})
				go func() {
					defer close(closed)
					s.Close("Bye")
				}()
				for s.Touch() {
					runtime.Gosched() // also where there is one processor
				}
				err = idIsFree(p, s)
				<-closed
				if failed(err) {
					return
				}
				p.CloseSession(i, "Bye")
			}
		})
		all.Go(func() { // times out beside a Touch
			id := 100 + i
			for range 50 {
				s, err := p.Register(id, new(testConn))
				if failed(err) {
					return
				}
				for s.Touch() {
					time.Sleep(idle + rand.N(2*harness.Tick))
				}
				if failed(idIsFree(p, s)) {
					return
				}
				p.CloseSession(id, "Bye")
			}
		})
	}
	all.Wait()
	require.NoError(t, first)
}

func TestClose_ForNoReasonIsClosed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		var told []pool.Reason
		p := newPool(t, testConfig{Directory: d, OnSessionClosed: func(_ *testSession, r pool.Reason) { told = append(told, r) }})
		for _, end := range []func(s *testSession) bool{
			func(s *testSession) bool { return s.Close("") },
			func(s *testSession) bool { return p.CloseSession(s.ID(), "") },
			func(s *testSession) bool {
				won, err := p.CloseToken(t.Context(), s.ID(), s.Token(), "")
				require.NoError(t, err)
				return won
			},
		} {
			s := mustRegister(t, p, 1)
			require.Empty(t, s.Reason(), "open")
			require.True(t, end(s))
			require.Equal(t, pool.Closed, s.Reason())
		}
		require.Equal(t, []pool.Reason{pool.Closed, pool.Closed, pool.Closed}, told)
		require.Equal(t, map[pool.Reason]uint64{pool.Closed: 3}, p.Stats().ByReason)
	})
}

func TestShutdown_WaitsForAnOnIdleThatRuns(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var returned atomic.Int64
		p := newPool(t, testConfig{IdleTimeout: time.Minute, OnIdle: func(s *testSession) {
			time.Sleep(time.Hour)
			returned.Add(1)
		}})
		const sessions = 10
		for id := range sessions {
			mustRegister(t, p, id)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		start := time.Now()
		ended, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, p.Shutdown(ended), context.DeadlineExceeded)
		require.Zero(t, p.Len())
		require.NoError(t, p.Shutdown(t.Context()))
		require.EqualValues(t, sessions, returned.Load())
		require.GreaterOrEqual(t, time.Since(start), 50*time.Minute)
	})
}

// One connection's Close blocks for as long as the test wants.
func TestShutdown_KeepsNoneThatHasEndedWhileOneBlocks(t *testing.T) {
	const sessions = 5_000
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	p := newPool(t, testConfig{})
	t.Cleanup(open) // before the pool's own
	blocked := make(map[int]bool)
	for _, id := range []int{0, sessions / 2, sessions - 1} {
		blocked[id] = true
	}
	var ended []weak.Pointer[testSession]
	for id := range sessions {
		c := new(testConn)
		if blocked[id] {
			c.onClose = func() { <-gate }
		}
		s, err := p.Register(id, c)
		require.NoError(t, err)
		if !blocked[id] {
			ended = append(ended, weak.Make(s))
		}
	}
	down := make(chan error, 1)
	go func() { down <- p.Shutdown(context.Background()) }()
	harness.Until(t, func() bool { return p.Stats().Closing == len(blocked) && p.Len() == 0 })
	left := 0
	for range 200 {
		runtime.GC()
		left = 0
		for _, s := range ended {
			if s.Value() != nil {
				left++
			}
		}
		if left == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Zero(t, left, "sessions that have ended are kept")
	require.Empty(t, down, "Shutdown waits")
	open()
	require.NoError(t, harness.Next(t, down))
}

func TestShutdown_WhoseContextHasEndedReturnsBeforeTheSweep(t *testing.T) {
	sessions := 200_000 // of which it closes some 16,000 itself
	if harness.RaceDetector {
		sessions = 20_000 // it makes so many slow, and a ratio one of its own costs
	}
	why := errors.New("the operator has lost patience")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	best := 1.0
	for range 3 { // a machine that is busy elsewhere may hold up a call
		p, err := pool.New(pool.Config[int, *testConn]{})
		require.NoError(t, err)
		conn := new(testConn)
		for id := range sessions {
			if _, err := p.Register(id, conn); err != nil {
				require.NoError(t, err)
			}
		}
		start := time.Now()
		err = p.Shutdown(ended)
		returned := time.Since(start)
		require.ErrorIs(t, err, why)
		require.NotErrorIs(t, err, context.Canceled, "the cause is what it wraps")
		require.ErrorContains(t, err, "pool: Shutdown: ")
		_, err = p.Register(-1, conn)
		require.ErrorIs(t, err, pool.ErrPoolClosed)
		require.NoError(t, p.Shutdown(t.Context()), "it goes on in the background")
		drained := time.Since(start)
		require.EqualValues(t, sessions, conn.closes.Load())
		best = min(best, float64(returned)/float64(drained))
		t.Logf("%v of %v", returned, drained)
	}
	if !harness.RaceDetector {
		require.Less(t, best, 0.5)
	}
}
