package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// Once its lifetime has passed a session waits for a place of the wheel's, and
// waits there once.
func TestTouch_AfterTheLifetimeQueuesNothing(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const touches = 100_000
		w := harness.NewWheel(t, wheel.Config{MaxCallbacks: 1})
		var told atomic.Int64
		p := newPool(t, testConfig{Wheel: w, MaxLifetime: time.Second, OnSessionClosed: func(*testSession, pool.Reason) { told.Add(1) }})
		gate := make(chan struct{})
		w.AfterFunc(0, func() { <-gate })
		s := mustRegister(t, p, 1)
		time.Sleep(time.Minute)
		for i := range touches {
			time.Sleep(time.Microsecond)
			require.True(t, s.Touch(), "it is open until its callback runs")
			if i%100 == 0 {
				time.Sleep(harness.Tick)
				synctest.Wait()
			}
		}
		require.Equal(t, 1, w.Stats().Waiting)
		close(gate)
		synctest.Wait()
		require.Equal(t, pool.Lifetime, s.Reason())
		require.EqualValues(t, 1, told.Load())
		require.Zero(t, w.Len())
	})
}

// A wheel that waited long for callbacks has not stood still: its sessions get no
// grace.
func TestTimeout_AfterABacklogComesWithoutGrace(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const others, idle = 20_000, 10 * time.Second
		w := harness.NewWheel(t, wheel.Config{MaxCallbacks: 1})
		gate := make(chan struct{})
		w.AfterFunc(0, func() { <-gate })
		for range others {
			w.AfterFunc(time.Second, func() {})
		}
		time.Sleep(2 * time.Second)
		var ended [2]time.Time
		p := newPool(t, testConfig{Wheel: w, IdleTimeout: idle, OnSessionClosed: func(s *testSession, _ pool.Reason) {
			ended[s.ID()] = time.Now()
		}})
		mustRegister(t, p, 0)             // due in the backlog
		w.AfterFunc(time.Hour, func() {}) // wakes the driver
		time.Sleep(time.Minute - 2*time.Second)
		mustRegister(t, p, 1) // due after it
		time.Sleep(2 * time.Second)
		start := time.Now()
		close(gate)
		time.Sleep(time.Minute)
		synctest.Wait()
		from, to := w.LastStall()
		require.Equal(t, []time.Duration{0, 0}, []time.Duration{from, to})
		require.LessOrEqual(t, ended[0].Sub(start), harness.Tick)
		require.LessOrEqual(t, ended[1].Sub(start), idle-2*time.Second+harness.Tick)
		require.GreaterOrEqual(t, ended[1].Sub(start), idle-2*time.Second)
	})
}

func heapKept[K comparable](t *testing.T, d pool.Directory[K], id func(i int) K) {
	t.Helper()
	const most = 2 << 20
	sessions := 300_000
	if harness.RaceDetector {
		sessions = 50_000 // it makes so many slow
	}
	p, err := pool.New(pool.Config[K, *testConn]{Directory: d})
	require.NoError(t, err)
	conn := new(testConn)
	kept := int64(math.MaxInt64)
	before := harness.Heap()
	for range 3 {
		for i := range sessions {
			if _, err := p.Register(id(i), conn); err != nil {
				require.NoError(t, err)
			}
		}
		full := harness.Heap() - before
		for i := range sessions {
			p.CloseSession(id(i), "Bye")
		}
		require.Zero(t, p.Len())
		kept = min(kept, harness.Heap()-before)
		require.Greater(t, full, int64(2*most), "the measurement is wrong")
		if kept < most {
			break
		}
	}
	t.Logf("%d bytes kept", kept)
	require.Less(t, kept, int64(most))
	require.NoError(t, p.Shutdown(t.Context()))
}

func TestMemory_ComesBackWhenTheSessionsHaveGone(t *testing.T) {
	number := func(i int) int64 { return int64(i) }
	t.Run("int64", func(t *testing.T) { heapKept(t, nil, number) })
	t.Run("string", func(t *testing.T) {
		heapKept(t, nil, func(i int) string { return fmt.Sprintf("session %016d", i) })
	})
	t.Run("with a Directory", func(t *testing.T) { heapKept(t, new(countingDirectory), number) })
}

// countingDirectory gives every ID to everyone.
type countingDirectory struct{ claims uint64 }

func (d *countingDirectory) Claim(_ context.Context, _ int64, _ []byte, activate func(uint64)) error {
	d.claims++
	activate(d.claims)
	return nil
}

func (*countingDirectory) Release(int64, uint64) {}

// panickingDirectory panics in Claim, before or after activate, or in Release.
type panickingDirectory struct{ before, after, release bool }

func (d *panickingDirectory) Claim(_ context.Context, _ int, _ []byte, activate func(uint64)) error {
	if d.before {
		panic("in Claim")
	}
	activate(1)
	if d.after {
		panic("in Claim")
	}
	return nil
}

func (d *panickingDirectory) Release(int, uint64) {
	if d.release {
		panic("in Release")
	}
}

func TestDirectory_ThatPanicsLeaksNoPlace(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := &panickingDirectory{before: true}
		p := newPool(t, testConfig{Directory: d, MaxSessions: 1})
		for range 10 {
			require.Equal(t, "in Claim", recovered(func() { _, _ = p.Register(1, new(testConn)) }))
			require.Zero(t, p.Len())
		}
		d.before, d.after = false, true
		require.Equal(t, "in Claim", recovered(func() { _, _ = p.Register(1, new(testConn)) }))
		s, ok := p.Get(1)
		require.True(t, ok, "it was activated, and goes on")
		_, err := p.Register(2, new(testConn))
		require.ErrorIs(t, err, pool.ErrFull)
		require.True(t, s.Close("Bye"))
		require.True(t, hasEnded(s))
		d.after = false
		mustRegister(t, p, 1)
		require.Equal(t, 1, p.Len())
	})
}

func TestDirectory_WhoseReleasePanicsKeepsNoSession(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		panics := make(chan any, 10)
		p := newPool(t, testConfig{
			Directory: &panickingDirectory{release: true}, IdleTimeout: time.Minute,
			OnPanic: func(v any, _ []byte) { panics <- v },
		})
		closed, timedOut := mustRegister(t, p, 1), mustRegister(t, p, 2)
		require.True(t, closed.Close("Bye"))
		require.Equal(t, "in Release", harness.Next(t, panics))
		time.Sleep(time.Hour)
		require.Equal(t, "in Release", harness.Next(t, panics), "on a goroutine of the wheel")
		require.True(t, hasEnded(timedOut))
		require.Zero(t, p.Stats().Closing)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, p.Shutdown(ctx))
	})
}

func TestLen_DoesNotCountAClaimThatIsUnderWay(t *testing.T) {
	for _, limit := range []int{0, 10} {
		harness.Bubble(t, func(t *testing.T) {
			d := harness.NewDirectory[int]()
			p := newPool(t, testConfig{Directory: d, MaxSessions: limit})
			gate := make(chan struct{})
			d.Before = func() { <-gate }
			for id := range 2 {
				go p.Register(id, new(testConn)) //nolint:errcheck // Len tells
			}
			synctest.Wait()
			require.Zero(t, p.Len())
			require.Zero(t, p.Stats().Sessions)
			close(gate)
			synctest.Wait()
			require.Equal(t, 2, p.Len())
			require.Equal(t, 2, p.Stats().Sessions)

			d.Refuse = errors.New("isolated")
			_, err := p.Register(3, new(testConn))
			require.ErrorIs(t, err, d.Refuse)
			require.Equal(t, 2, p.Len())
		})
	}
}

func TestStats_ShowTheSessionsWhoseConnectionsAreStillBeingClosed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const replaced = 100
		p := newPool(t, testConfig{OnDuplicate: pool.Replace})
		gate := make(chan struct{})
		for i := range replaced + 1 {
			_, err := p.Register(1, &testConn{onClose: func() { <-gate }})
			require.NoError(t, err)
			synctest.Wait()
			require.Equal(t, i, p.Stats().Closing)
			require.Equal(t, 1, p.Len())
		}
		close(gate)
		synctest.Wait()
		require.Zero(t, p.Stats().Closing)
	})
}
