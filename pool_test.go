package sessionwheel_test

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// poolTick is the resolution of a pool's own wheel: what is due ends within it.
const poolTick = 10 * time.Millisecond

// poolConn is a connection that counts how often it was closed.
type poolConn struct {
	onClose func() // nil: nothing
	closes  atomic.Int32
}

func (c *poolConn) Close() error {
	c.closes.Add(1)
	if c.onClose != nil {
		c.onClose()
	}
	return nil
}

type (
	poolOf      = pool.Pool[int, *poolConn]
	poolSession = pool.Session[int, *poolConn]
	poolConfig  = pool.Config[int, *poolConn]
)

// poolNew makes a pool that is shut down when the test ends.
func poolNew(t *testing.T, c poolConfig) *poolOf {
	t.Helper()
	p, err := pool.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p
}

// poolWheel makes a wheel that is closed when the test ends.
func poolWheel(t *testing.T) *wheel.Wheel {
	t.Helper()
	w, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

func poolRegister(t *testing.T, p *poolOf, id int) *poolSession {
	t.Helper()
	s, err := p.Register(id, new(poolConn))
	require.NoError(t, err)
	return s
}

// poolCalls notes what was called, in order.
type poolCalls struct {
	mu     sync.Mutex
	events []string
}

func (c *poolCalls) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

// poolEnded reports whether a session's Done is closed.
func poolEnded(s *poolSession) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// poolBubble runs f on fake time. A goroutine that waits for a mutex keeps fake
// time from moving, and so does one that spins; the watchdog is on real time
// and turns both into a failure that shows all stacks.
func poolBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	name := t.Name()
	watchdog := time.AfterFunc(2*time.Minute, func() {
		debug.SetTraceback("all")
		panic(name + ": a lock is never released, or something spins")
	})
	defer watchdog.Stop()
	synctest.Test(t, f)
}

// poolLife is the lifetime that the causes below count on; poolIdle the idle
// timeout.
const (
	poolIdle = 30 * time.Second
	poolLife = time.Hour
)

// poolCauses are the ways in which a session ends, each on a pool with poolIdle,
// poolLife and Replace.
var poolCauses = []struct {
	reason pool.Reason
	end    func(p *poolOf, s *poolSession)
}{
	{"Bye", func(_ *poolOf, s *poolSession) { s.Close("Bye") }},
	{"Kicked", func(p *poolOf, s *poolSession) { p.CloseSession(s.ID(), "Kicked") }},
	{pool.Timeout, func(*poolOf, *poolSession) { time.Sleep(poolIdle + poolTick) }},
	{pool.Lifetime, func(_ *poolOf, s *poolSession) {
		s.SetIdleTimeout(-1)
		time.Sleep(poolLife + poolTick)
	}},
	{pool.Replaced, func(p *poolOf, s *poolSession) { _, _ = p.Register(s.ID(), new(poolConn)) }},
	{pool.Shutdown, func(p *poolOf, _ *poolSession) { _ = p.Shutdown(context.Background()) }},
}

func TestTheFirstCloseFixesTheReason(t *testing.T) {
	for _, cause := range poolCauses {
		t.Run(string(cause.reason), func(t *testing.T) {
			poolBubble(t, func(t *testing.T) {
				var calls poolCalls
				conn := new(poolConn)
				p := poolNew(t, poolConfig{
					IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace,
					OnSessionClosed: func(s *poolSession, r pool.Reason) {
						if s.Conn() == conn {
							calls.add("closed %s", r)
						}
					},
				})
				s, err := p.Register(1, conn)
				require.NoError(t, err)
				require.Empty(t, s.Reason())
				cause.end(p, s)
				synctest.Wait()
				require.Equal(t, cause.reason, s.Reason())
				require.False(t, s.Close("Late"))
				require.False(t, s.Touch())
				time.Sleep(2 * poolLife)
				require.Equal(t, cause.reason, s.Reason())
				require.EqualValues(t, 1, conn.closes.Load())
				require.Equal(t, []string{"closed " + string(cause.reason)}, calls.events)
			})
		})
	}
}

func TestTheReadErrorThatACloseCausesDoesNotReplaceItsReason(t *testing.T) {
	for _, cause := range poolCauses {
		t.Run(string(cause.reason), func(t *testing.T) {
			poolBubble(t, func(t *testing.T) {
				told := make(chan pool.Reason, 1)
				p := poolNew(t, poolConfig{
					IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace,
					OnSessionClosed: func(s *poolSession, r pool.Reason) {
						if s.Conn().onClose != nil {
							told <- r
						}
					},
				})
				ours, theirs := net.Pipe()
				defer theirs.Close()
				read := make(chan struct{})
				// The close goes on only when the reader has seen its error.
				conn := &poolConn{onClose: func() { _ = ours.Close(); <-read }}
				s, err := p.Register(1, conn)
				require.NoError(t, err)
				go func() {
					defer close(read)
					_, err := ours.Read(make([]byte, 1))
					s.Close(pool.Reason(err.Error()))
				}()
				cause.end(p, s)
				require.Equal(t, cause.reason, <-told)
				require.Equal(t, cause.reason, s.Reason())
				require.Equal(t, uint64(1), p.Stats().ByReason[cause.reason])
			})
		})
	}
}

func TestACloseGoesInOrder(t *testing.T) {
	for _, cause := range poolCauses {
		t.Run(string(cause.reason), func(t *testing.T) {
			poolBubble(t, func(t *testing.T) {
				w := poolWheel(t)
				var s *poolSession
				var p *poolOf
				var events []string
				look := func(event string) {
					time.Sleep(time.Millisecond) // what else goes on has settled
					got, _ := p.Get(1)
					if got == s || w.Len() != p.Len() || s.Reason() != cause.reason || s.Touch() || poolEnded(s) {
						event += " (in disorder)"
					}
					events = append(events, event)
				}
				p = poolNew(t, poolConfig{
					IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace, Wheel: w,
					OnSessionClosed: func(closed *poolSession, _ pool.Reason) {
						if closed == s {
							look("told")
						}
					},
				})
				var err error
				s, err = p.Register(1, &poolConn{onClose: func() { look("conn closed") }})
				require.NoError(t, err)
				require.Equal(t, 1, w.Len())
				cause.end(p, s)
				<-s.Done()
				require.Equal(t, []string{"conn closed", "told"}, events)
				require.True(t, poolEnded(s))
			})
		})
	}
}

func TestALateCloseLeavesTheReplacementInThePool(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{OnDuplicate: pool.Replace})
		gate := make(chan struct{})
		old, err := p.Register(1, &poolConn{onClose: func() { <-gate }})
		require.NoError(t, err)
		s := poolRegister(t, p, 1)
		require.Equal(t, pool.Replaced, old.Reason(), "the old one has its reason when Register returns")
		close(gate)
		<-old.Done()
		require.False(t, old.Close("Late"))
		got, ok := p.Get(1)
		require.True(t, ok)
		require.Same(t, s, got)
		require.Equal(t, 1, p.Len())
		require.Empty(t, s.Reason())
	})
}

func TestAnIDIsFreeOnceItsConnectionIsBeingClosed(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{MaxSessions: 1})
		var second *poolSession
		first, err := p.Register(1, &poolConn{onClose: func() {
			second, _ = p.Register(1, new(poolConn))
		}})
		require.NoError(t, err)
		require.True(t, first.Close("Bye"))
		require.NotNil(t, second)
		got, _ := p.Get(1)
		require.Same(t, second, got)
		require.Equal(t, 1, p.Len())
	})
}
