package pool_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMemory_TouchAllocatesNothing(t *testing.T) {
	p := newPool(t, testConfig{IdleTimeout: time.Hour, MaxLifetime: 100 * time.Hour})
	s := mustRegister(t, p, 1)
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Touch() }))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		s.Pin()
		s.Unpin()
		p.Get(1)
		p.Len()
	}))
}

func TestMemory_RegisterAndCloseAllocateTwice(t *testing.T) {
	for name, c := range map[string]testConfig{
		"plain": {},
		"with callbacks": {
			OnNewSessionRegister: func(*testSession) {},
			OnSessionClosed:      func(*testSession, pool.Reason) {},
			OnPanic:              func(any, []byte) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, c)
			conn := new(testConn)
			require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
				s, err := p.Register(1, conn)
				if err != nil || !s.Touch() || !s.Close("Bye") {
					panic("not registered, or not closed")
				}
			}), 2.0)
		})
	}
}

// A session takes its struct, which includes its timer, and its place in the map.
// The connection is its owner's.
func TestMemory_ASessionTakesLessThan300Bytes(t *testing.T) {
	if harness.RaceDetector {
		t.Skip("the race detector makes so many sessions slow, and does not change what they take")
	}
	const sessions = 200_000
	p, err := pool.New(pool.Config[int64, *testConn]{})
	require.NoError(t, err)
	conn := new(testConn)
	before := harness.Heap()
	for id := range int64(sessions) {
		if s, err := p.Register(id, conn); err != nil || !s.Touch() {
			require.Fail(t, "a session was not registered")
		}
	}
	each := (float64(harness.Heap()) - float64(before)) / sessions
	require.Equal(t, sessions, p.Len())
	require.Less(t, each, 300.0)
	require.Greater(t, each, 50.0, "the measurement is wrong")
	t.Logf("%.0f bytes a session", each)
	shutDown(t, p)
	require.EqualValues(t, sessions, conn.closes.Load())
}

// bytesOf returns what a session takes, of as many as there are IDs.
func bytesOf[K comparable](t *testing.T, ids []K) float64 {
	t.Helper()
	p, err := pool.New(pool.Config[K, *testConn]{})
	require.NoError(t, err)
	conn := new(testConn)
	before := harness.Heap()
	for _, id := range ids {
		if s, err := p.Register(id, conn); err != nil || !s.Touch() {
			require.Fail(t, "a session was not registered")
		}
	}
	each := (float64(harness.Heap()) - float64(before)) / float64(len(ids))
	require.Equal(t, len(ids), p.Len())
	require.Greater(t, each, 50.0, "the measurement is wrong")
	t.Logf("%.0f bytes a session", each)
	shutDown(t, p)
	return each
}

// The pool's table has just grown with so many sessions, so most of it is free. A
// string's text is its owner's.
func TestMemory_ASessionTakes128BytesAtMostAnd160WithAStringAsItsID(t *testing.T) {
	if harness.RaceDetector {
		t.Skip("the race detector makes so many sessions slow, and does not change what they take")
	}
	const sessions = 110_000
	numbers, texts := make([]int64, sessions), make([]string, sessions)
	for i := range sessions {
		numbers[i], texts[i] = int64(i), fmt.Sprintf("session %016d", i)
	}
	require.LessOrEqual(t, bytesOf(t, numbers), 128.0)
	require.LessOrEqual(t, bytesOf(t, texts), 160.0)
	runtime.KeepAlive(texts)
}

func TestMemory_AClosedSessionIsCollectedWhileThePoolLives(t *testing.T) {
	const each = 100
	p := newPool(t, testConfig{
		IdleTimeout: 50 * time.Millisecond, MaxLifetime: time.Minute, OnDuplicate: pool.Replace,
		OnSessionClosed: func(*testSession, pool.Reason) {},
	})
	mustRegister(t, p, -1).SetIdleTimeout(-1)
	ends := map[string]func(*testSession){
		"close":    func(s *testSession) { s.Close("Bye") },
		"timeout":  func(*testSession) {},
		"replaced": func(s *testSession) { _, _ = p.Register(s.ID(), new(testConn)) },
		"released": func(s *testSession) { s.Hold()() },
		"touched":  func(s *testSession) { s.Touch() },
		"idle":     func(s *testSession) { s.SetIdleTimeout(time.Hour); p.CloseSession(s.ID(), "Kicked") },
	}
	var sessions []weak.Pointer[testSession]
	var conns []weak.Pointer[testConn]
	var wg sync.WaitGroup
	id := 0
	for _, end := range ends {
		for range each {
			s := mustRegister(t, p, id)
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
