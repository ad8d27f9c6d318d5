package sessionwheel_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Touches, kicks, takeovers, holds, timeouts, lifetimes and a shutdown, all at
// once and on real time.
func TestEachOfManySessionsEndsExactlyOnce(t *testing.T) {
	const sessions, workers, ids = 20_000, 6, 5_000
	c := poolLedgerConfig{
		IdleTimeout: 60 * time.Millisecond, MaxLifetime: 400 * time.Millisecond,
		MaxSessions: ids - 500, OnDuplicate: pool.Replace,
	}
	l := poolLedgerOf(sessions, &c)
	p, err := pool.New(c)
	require.NoError(t, err)
	var next, wrong atomic.Int64
	var down atomic.Bool
	poolTogether(workers+1, func(w int) {
		if w == workers { // shuts down when nearly all are registered, and looks on until then
			for next.Load() < sessions*19/20 {
				if n := p.Len(); n < 0 || n > c.MaxSessions {
					wrong.Add(1)
				}
				time.Sleep(time.Millisecond)
			}
			poolShutdown(t, p)
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

func TestTouchAllocatesNothing(t *testing.T) {
	p := poolNew(t, poolConfig{IdleTimeout: time.Hour, MaxLifetime: 100 * time.Hour})
	s := poolRegister(t, p, 1)
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Touch() }))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		s.Pin()
		s.Unpin()
		p.Get(1)
		p.Len()
	}))
}

func TestRegisterAndCloseAllocateTwice(t *testing.T) {
	for name, c := range map[string]poolConfig{
		"plain": {},
		"with callbacks": {
			OnNewSessionRegister: func(*poolSession) {},
			OnSessionClosed:      func(*poolSession, pool.Reason) {},
			OnPanic:              func(any, []byte) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := poolNew(t, c)
			conn := new(poolConn)
			require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
				s, err := p.Register(1, conn)
				if err != nil || !s.Touch() || !s.Close("Bye") {
					panic("not registered, or not closed")
				}
			}), 2.0)
		})
	}
}

// poolHeap is how much memory is in use once garbage is collected.
func poolHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// poolRaces reports whether the race detector is on.
func poolRaces() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// A session's cost is its struct, which holds its timer, and its place in the map;
// the connection is its owner's.
func TestASessionTakesLessThan300Bytes(t *testing.T) {
	if poolRaces() {
		t.Skip("the race detector makes so many sessions slow, and does not change what they take")
	}
	const sessions = 200_000
	p, err := pool.New(pool.Config[int64, *poolConn]{})
	require.NoError(t, err)
	conn := new(poolConn)
	before := poolHeap()
	for id := range int64(sessions) {
		if s, err := p.Register(id, conn); err != nil || !s.Touch() {
			require.Fail(t, "a session was not registered")
		}
	}
	each := (float64(poolHeap()) - float64(before)) / sessions
	require.Equal(t, sessions, p.Len())
	require.Less(t, each, 300.0)
	require.Greater(t, each, 50.0, "the measurement is wrong")
	t.Logf("%.0f bytes a session", each)
	poolShutdown(t, p)
	require.EqualValues(t, sessions, conn.closes.Load())
}

func TestAClosedSessionIsCollectedWhileThePoolLives(t *testing.T) {
	const each = 100
	p := poolNew(t, poolConfig{
		IdleTimeout: 50 * time.Millisecond, MaxLifetime: time.Minute, OnDuplicate: pool.Replace,
		OnSessionClosed: func(*poolSession, pool.Reason) {},
	})
	poolRegister(t, p, -1).SetIdleTimeout(-1)
	ends := map[string]func(*poolSession){
		"close":    func(s *poolSession) { s.Close("Bye") },
		"timeout":  func(*poolSession) {},
		"replaced": func(s *poolSession) { _, _ = p.Register(s.ID(), new(poolConn)) },
		"released": func(s *poolSession) { s.Hold()() },
		"touched":  func(s *poolSession) { s.Touch() },
		"idle":     func(s *poolSession) { s.SetIdleTimeout(time.Hour); p.CloseSession(s.ID(), "Kicked") },
	}
	var sessions []weak.Pointer[poolSession]
	var conns []weak.Pointer[poolConn]
	var wg sync.WaitGroup
	id := 0
	for _, end := range ends {
		for range each {
			s := poolRegister(t, p, id)
			id++
			end(s)
			sessions, conns = append(sessions, weak.Make(s)), append(conns, weak.Make(s.Conn()))
			wg.Go(func() { <-s.Done() })
		}
	}
	wg.Wait()
	left := 0
	for range 500 {
		runtime.GC()
		left = 0
		for i := range sessions {
			if sessions[i].Value() != nil || conns[i].Value() != nil {
				left++
			}
		}
		if left == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Zero(t, left)
	require.NotZero(t, p.Len())
	require.NoError(t, p.Shutdown(context.Background()))
}
