package sessionwheel_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

// The contract of package pool, from top to bottom. The tests run on the fake
// time of testing/synctest, where an hour takes microseconds. The other tests of
// the package are in test/pool.

// A pool's sessions have an ID and a connection; here a number, and one end of a
// net.Pipe. Any comparable type and any io.Closer will do.
type (
	numbered = pool.Session[int, net.Conn]
	config   = pool.Config[int, net.Conn]
)

// tick is how late a timeout may be.
const tick = 10 * time.Millisecond

// withPool runs f in a bubble of fake time, with a pool that is shut down at the
// end. register puts a session with a connection of its own into the pool.
func withPool(t *testing.T, c config, f func(t *testing.T, p *pool.Pool[int, net.Conn], register func(id int) *numbered)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := pool.New(c)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
		f(t, p, func(id int) *numbered {
			ours, _ := net.Pipe()
			s, err := p.Register(id, ours)
			require.NoError(t, err)
			return s
		})
	})
}

// A session that nothing happens on is closed after its idle timeout, and
// OnSessionClosed gets the reason.
func TestIdleTimeout_ClosesASilentSession(t *testing.T) {
	var reason pool.Reason
	c := config{
		IdleTimeout:     30 * time.Second,
		OnSessionClosed: func(_ *numbered, r pool.Reason) { reason = r },
	}
	withPool(t, c, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		s := register(1)
		time.Sleep(30*time.Second - 1)
		require.Equal(t, 1, p.Len())
		time.Sleep(tick)
		<-s.Done()
		require.Equal(t, pool.Timeout, reason)
		require.Zero(t, p.Len())
		_, err := s.Conn().Write(nil)
		require.Error(t, err, "its connection is closed")
	})
}

func TestIdleTimeout_IsFiveMinutesByDefaultAndOffWhenNegative(t *testing.T) {
	withPool(t, config{}, func(t *testing.T, _ *pool.Pool[int, net.Conn], register func(int) *numbered) {
		start := time.Now()
		<-register(1).Done()
		require.InDelta(t, 5*time.Minute, time.Since(start), float64(tick))
	})
	withPool(t, config{IdleTimeout: -1}, func(t *testing.T, _ *pool.Pool[int, net.Conn], register func(int) *numbered) {
		s := register(1)
		time.Sleep(1000 * time.Hour)
		require.Empty(t, s.Reason())
	})
}

// Touch is what a server calls for each message: the session has another idle
// timeout from then on.
func TestTouch_GivesASessionAnotherIdleTimeout(t *testing.T) {
	withPool(t, config{IdleTimeout: 30 * time.Second}, func(t *testing.T, _ *pool.Pool[int, net.Conn], register func(int) *numbered) {
		start := time.Now()
		s := register(1)
		for range 100 {
			time.Sleep(20 * time.Second)
			require.True(t, s.Touch())
		}
		<-s.Done()
		require.InDelta(t, 2030*time.Second, time.Since(start), float64(tick))
		require.False(t, s.Touch(), "too late: what was read should be dropped")
	})
}

// Guarantee 2: after Touch has reported true the session does not time out for an
// idle timeout, at whatever moment it was called. Here each of many sessions is
// touched at another moment about its deadline.
func TestTouch_AndTheTimeoutNeverBothWin(t *testing.T) {
	const idle = time.Second
	withPool(t, config{IdleTimeout: idle}, func(t *testing.T, _ *pool.Pool[int, net.Conn], register func(int) *numbered) {
		touched := 0
		for i := range 200 {
			s := register(i)
			time.Sleep(idle + tick*time.Duration(i-150)/100)
			if !s.Touch() {
				require.Equal(t, pool.Timeout, s.Reason())
				continue
			}
			touched++
			time.Sleep(idle - 1)
			require.Empty(t, s.Reason())
		}
		require.Greater(t, touched, 100)
		require.Less(t, touched, 200)
	})
}

// A long request holds its session. The release counts as activity.
func TestHold_KeepsASessionFromTimingOut(t *testing.T) {
	withPool(t, config{IdleTimeout: 30 * time.Second}, func(t *testing.T, _ *pool.Pool[int, net.Conn], register func(int) *numbered) {
		s := register(1)
		release := s.Hold()
		time.Sleep(time.Hour)
		require.Empty(t, s.Reason())
		release()
		time.Sleep(29 * time.Second)
		require.Empty(t, s.Reason())
		time.Sleep(time.Second + tick)
		require.Equal(t, pool.Timeout, s.Reason())
	})
}

func TestSetIdleTimeout_GivesOneSessionATimeoutOfItsOwn(t *testing.T) {
	withPool(t, config{IdleTimeout: 30 * time.Second}, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		register(1)
		register(2).SetIdleTimeout(time.Second) // until it has logged in, say
		time.Sleep(time.Second + tick)
		_, ok := p.Get(2)
		require.False(t, ok)
		require.Equal(t, 1, p.Len())
	})
}

// MaxLifetime ends a session however active it is.
func TestMaxLifetime_EndsAnActiveSession(t *testing.T) {
	c := config{IdleTimeout: 30 * time.Second, MaxLifetime: time.Hour}
	withPool(t, c, func(t *testing.T, _ *pool.Pool[int, net.Conn], register func(int) *numbered) {
		start := time.Now()
		s := register(1)
		for s.Touch() {
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, pool.Lifetime, s.Reason())
		require.Less(t, time.Since(start), time.Hour+11*time.Second)
	})
}

// OnIdle is called before the timeout, so that the peer can be asked for a sign
// of life.
func TestOnIdle_IsCalledBeforeTheTimeout(t *testing.T) {
	var asked atomic.Int32
	c := config{
		IdleTimeout: 30 * time.Second, IdleWarning: 10 * time.Second,
		OnIdle: func(*numbered) { asked.Add(1) },
	}
	withPool(t, c, func(t *testing.T, _ *pool.Pool[int, net.Conn], register func(int) *numbered) {
		s := register(1)
		time.Sleep(20*time.Second - 1)
		require.Zero(t, asked.Load())
		time.Sleep(tick)
		require.EqualValues(t, 1, asked.Load())
		s.Touch() // the peer has answered
		time.Sleep(19 * time.Second)
		require.Empty(t, s.Reason())
		require.EqualValues(t, 1, asked.Load())
	})
}

// Guarantee 1: a session is closed once. The first caller wins and fixes the
// reason, and Close tells it that it was the one.
func TestClose_IsWonByOneCallerWhoFixesTheReason(t *testing.T) {
	var closes, told atomic.Int32
	c := config{OnSessionClosed: func(*numbered, pool.Reason) { told.Add(1) }}
	withPool(t, c, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		s := register(1)
		won := make(chan pool.Reason, 10)
		var callers sync.WaitGroup
		for i := range 10 {
			callers.Go(func() {
				if r := pool.Reason(fmt.Sprint("reason ", i)); s.Close(r) {
					closes.Add(1)
					won <- r
				}
			})
		}
		callers.Wait()
		require.EqualValues(t, 1, closes.Load())
		require.EqualValues(t, 1, told.Load())
		require.Equal(t, <-won, s.Reason())
		require.False(t, p.CloseSession(1, "late"))
	})
}

// closeRecorder is a connection that says when it is closed.
type closeRecorder struct {
	net.Conn
	onClose func()
}

func (c closeRecorder) Close() error {
	c.onClose()
	return c.Conn.Close()
}

// Guarantee 3, the order of a close: the session leaves the pool, its connection
// is closed, OnSessionClosed is called, Done is closed. No lock is
// held, so each of them may use the pool.
func TestClose_GoesInOrder(t *testing.T) {
	var order []string
	var p *pool.Pool[int, net.Conn]
	note := func(event string) {
		order = append(order, fmt.Sprintf("%s, %d in the pool", event, p.Len()))
	}
	c := config{
		OnNewSessionRegister: func(*numbered) { note("registered") },
		OnSessionClosed:      func(*numbered, pool.Reason) { note("told") },
	}
	withPool(t, c, func(t *testing.T, made *pool.Pool[int, net.Conn], _ func(int) *numbered) {
		p = made
		ours, _ := net.Pipe()
		s, err := p.Register(1, closeRecorder{ours, func() { note("connection closed") }})
		require.NoError(t, err)
		require.True(t, s.Close("bye"))
		<-s.Done()
		require.Equal(t, []string{"registered, 1 in the pool", "connection closed, 0 in the pool", "told, 0 in the pool"}, order)
	})
}

// Guarantee 7: a connection whose Close hangs delays no other session.
func TestClose_ThatBlocksDelaysNoOtherSession(t *testing.T) {
	withPool(t, config{IdleTimeout: 30 * time.Second}, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		gate := make(chan struct{})
		defer close(gate)
		ours, _ := net.Pipe()
		_, err := p.Register(1, closeRecorder{ours, func() { <-gate }})
		require.NoError(t, err)
		others := []*numbered{register(2), register(3)}
		time.Sleep(30*time.Second + tick)
		for _, s := range others {
			<-s.Done()
		}
	})
}

// A second session with the same ID is refused, or takes the ID over.
func TestOnDuplicate_RejectsOrReplaces(t *testing.T) {
	withPool(t, config{}, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		register(1)
		ours, _ := net.Pipe()
		_, err := p.Register(1, ours)
		require.ErrorIs(t, err, pool.ErrDuplicateID)
	})
	withPool(t, config{OnDuplicate: pool.Replace}, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		old := register(1)
		s := register(1)
		require.Equal(t, pool.Replaced, old.Reason())
		<-old.Done()
		got, ok := p.Get(1)
		require.True(t, ok, "the end of the old session leaves the new one alone")
		require.Same(t, s, got)
	})
}

func TestMaxSessions_IsExact(t *testing.T) {
	withPool(t, config{MaxSessions: 2}, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		register(1)
		register(2)
		ours, _ := net.Pipe()
		_, err := p.Register(3, ours)
		require.ErrorIs(t, err, pool.ErrFull)
		p.CloseSession(1, "kicked")
		register(3)
	})
}

// All goes over the sessions, without a lock while the loop's body runs.
func TestAll_MayCloseWhatItGoesOver(t *testing.T) {
	withPool(t, config{}, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		for id := range 10 {
			register(id)
		}
		var ids []int
		for id, s := range p.All() {
			ids = append(ids, id)
			s.Close("kicked")
		}
		slices.Sort(ids)
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, ids)
		require.Zero(t, p.Len())
		require.Equal(t, map[pool.Reason]uint64{"kicked": 10}, p.Stats().ByReason)
	})
}

// Guarantee 4: a panic in a callback changes nothing of what is counted and
// called. Without OnPanic it goes on.
func TestOnPanic_GetsThePanicOfACallback(t *testing.T) {
	var panics []any
	c := config{
		OnSessionClosed: func(*numbered, pool.Reason) { panic("oops") },
		OnPanic:         func(v any, _ []byte) { panics = append(panics, v) },
	}
	withPool(t, c, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		s := register(1)
		require.True(t, s.Close("bye"))
		<-s.Done()
		require.Equal(t, []any{"oops"}, panics)
		require.EqualValues(t, 1, p.Stats().Closed)
	})
}

// Shutdown closes all sessions and waits for their OnSessionClosed, as long as
// its context lasts.
func TestShutdown_WaitsForOnSessionClosedOrItsContext(t *testing.T) {
	var told atomic.Int32
	c := config{OnSessionClosed: func(*numbered, pool.Reason) {
		time.Sleep(time.Minute) // writes to a database, say
		told.Add(1)
	}}
	withPool(t, c, func(t *testing.T, p *pool.Pool[int, net.Conn], register func(int) *numbered) {
		for id := range 100 {
			register(id)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Shutdown(ctx)
		require.True(t, errors.Is(err, context.DeadlineExceeded), err)
		require.Zero(t, told.Load(), "they still end in the background")

		require.NoError(t, p.Shutdown(t.Context()))
		require.EqualValues(t, 100, told.Load())
		ours, _ := net.Pipe()
		_, err = p.Register(1, ours)
		require.ErrorIs(t, err, pool.ErrPoolClosed)
		require.Equal(t, map[pool.Reason]uint64{pool.Shutdown: 100}, p.Stats().ByReason)
	})
}
