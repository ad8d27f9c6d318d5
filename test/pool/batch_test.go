package pool_test

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// Thousands of sessions are due at one instant. Whatever the callbacks of some do,
// all others end at that instant.
func TestTimeout_OfManyAtOnceWhereSomeBlockDelaysNoOther(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const n, blocked, goexits, panicking, idle = 4000, 120, 400, 400, time.Second
		gate := make(chan struct{})
		kinds := rand.Perm(n)
		start := time.Now()
		var late, ended, panics atomic.Int64
		p := newPool(t, testConfig{
			IdleTimeout: idle,
			OnSessionClosed: func(s *testSession, _ pool.Reason) {
				if time.Since(start) > idle {
					late.Add(1)
				}
				ended.Add(1)
				if kind := kinds[s.ID()]; kind < goexits {
					runtime.Goexit()
				}
			},
			OnPanic: func(any, []byte) { panics.Add(1) },
		})
		var sessions []*testSession
		for id := range n {
			conn := new(testConn)
			switch kind := kinds[id]; {
			case kind >= n-blocked:
				conn.onClose = func() { <-gate }
			case kind >= n-blocked-panicking:
				conn.onClose = func() { panic("in Close") }
			}
			s, err := p.Register(id, conn)
			require.NoError(t, err)
			sessions = append(sessions, s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, n-blocked, ended.Load())
		require.Zero(t, late.Load())
		require.EqualValues(t, panicking, panics.Load())
		require.Zero(t, p.Len())
		close(gate)
		synctest.Wait()
		require.EqualValues(t, n, ended.Load())
		for _, s := range sessions {
			require.True(t, hasEnded(s))
			require.EqualValues(t, 1, s.Conn().closes.Load())
		}
		require.Equal(t, map[pool.Reason]uint64{pool.Timeout: n}, p.Stats().ByReason)
	})
}

// Sessions that are due with many others are touched, closed and pinned while those
// are closed.
func TestTimeout_OfManyAtOnceLeavesOutThoseThatAreTouchedMeanwhile(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const n, idle = 4000, time.Second
		start := time.Now()
		var touched, kicked, missed, wrong atomic.Int64
		var sessions [n]atomic.Pointer[testSession]
		var keptAt [n]atomic.Int64 // when a Touch kept it
		p := newPool(t, testConfig{IdleTimeout: idle, OnSessionClosed: func(s *testSession, r pool.Reason) {
			if r == pool.Timeout && time.Since(start) < time.Duration(keptAt[s.ID()].Load())+idle {
				wrong.Add(1)
			}
			if time.Since(start) != idle {
				return
			}
			other := sessions[rand.N(n)].Load()
			switch {
			case rand.N(4) == 0:
				if other.Close("Kicked") {
					kicked.Add(1)
				}
			case other.Touch():
				touched.Add(1)
				keptAt[other.ID()].Store(int64(time.Since(start)))
			default:
				missed.Add(1)
			}
		}})
		for id := range sessions {
			sessions[id].Store(mustRegister(t, p, id))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Zero(t, wrong.Load())
		require.Zero(t, p.Len())
		for id := range sessions {
			s := sessions[id].Load()
			require.True(t, hasEnded(s))
			require.EqualValues(t, 1, s.Conn().closes.Load())
		}
		by := p.Stats().ByReason
		require.EqualValues(t, kicked.Load(), by["Kicked"])
		require.EqualValues(t, n-kicked.Load(), by[pool.Timeout])
		require.NotZero(t, touched.Load())
		require.NotZero(t, missed.Load())
	})
}

// Closes that take long are not begun before there is a goroutine for them: until
// then a session is open, and a Touch keeps it.
func TestTimeout_OfManyWhoseClosesTakeLongLeavesThoseThatWaitOpen(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const n, places, idle = 500, 4, time.Second
		w := harness.NewWheel(t, wheel.Config{MaxCallbacks: places})
		var closing atomic.Int64
		p := newPool(t, testConfig{Wheel: w, IdleTimeout: idle, OnSessionClosed: func(*testSession, pool.Reason) { closing.Add(-1) }})
		for id := range n {
			_, err := p.Register(id, &testConn{onClose: func() {
				closing.Add(1)
				time.Sleep(10 * time.Millisecond)
			}})
			require.NoError(t, err)
		}
		time.Sleep(idle + 5*time.Millisecond)
		synctest.Wait()
		for range 100 {
			st := p.Stats()
			require.EqualValues(t, places, closing.Load())
			require.Equal(t, places, st.Closing, "sessions that have left the pool")
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		for _, s := range p.All() {
			require.True(t, s.Touch())
		}
		left := p.Len()
		require.Positive(t, left)
		time.Sleep(idle / 2)
		require.Equal(t, left, p.Len())
	})
}

// Two pools of different types share a wheel, and their sessions are due together.
func TestTimeout_OfSeveralPoolsOnAWheelAtOnceEndsEachInItsOwn(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const n, idle = 2000, time.Second
		w := harness.NewWheel(t, wheel.Config{})
		var numbers, names atomic.Int64
		one := newPool(t, testConfig{Wheel: w, IdleTimeout: idle, OnSessionClosed: func(*testSession, pool.Reason) { numbers.Add(1) }})
		other, err := pool.New(pool.Config[string, *testConn]{
			Wheel: w, IdleTimeout: idle, OnSessionClosed: func(*pool.Session[string, *testConn], pool.Reason) { names.Add(1) },
		})
		require.NoError(t, err)
		for id := range n {
			mustRegister(t, one, id)
			_, err := other.Register(string(rune(id+1)), new(testConn))
			require.NoError(t, err)
			w.AfterFunc(idle, func() {})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, n, numbers.Load())
		require.EqualValues(t, n, names.Load())
		require.Zero(t, w.Len())
		shutDown(t, other)
	})
}
