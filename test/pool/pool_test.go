package pool_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// testConn is a connection that counts how often it was closed.
type testConn struct {
	onClose func() // nil: nothing
	closes  atomic.Int32
}

func (c *testConn) Close() error {
	c.closes.Add(1)
	if c.onClose != nil {
		c.onClose()
	}
	return nil
}

type (
	testPool    = pool.Pool[int, *testConn]
	testSession = pool.Session[int, *testConn]
	testConfig  = pool.Config[int, *testConn]
)

// newPool makes a pool that is shut down when the test ends.
func newPool(t *testing.T, c testConfig) *testPool {
	t.Helper()
	p, err := pool.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p
}

func mustRegister(t *testing.T, p *testPool, id int) *testSession {
	t.Helper()
	s, err := p.Register(id, new(testConn))
	require.NoError(t, err)
	return s
}

// callLog notes what was called, in order.
type callLog struct {
	mu     sync.Mutex
	events []string
}

func (c *callLog) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

// hasEnded reports whether a session's Done is closed.
func hasEnded(s *testSession) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// poolIdle and poolLife are the idle timeout and the lifetime that the causes below
// rely on.
const (
	poolIdle = 30 * time.Second
	poolLife = time.Hour
)

// closeCauses are the ways in which a session ends, on a pool with poolIdle,
// poolLife and Replace.
var closeCauses = []struct {
	reason pool.Reason
	end    func(p *testPool, s *testSession)
}{
	{"Bye", func(_ *testPool, s *testSession) { s.Close("Bye") }},
	{"Kicked", func(p *testPool, s *testSession) { p.CloseSession(s.ID(), "Kicked") }},
	{pool.Timeout, func(*testPool, *testSession) { time.Sleep(poolIdle + harness.Tick) }},
	{pool.Lifetime, func(_ *testPool, s *testSession) {
		s.SetIdleTimeout(-1)
		time.Sleep(poolLife + harness.Tick)
	}},
	{pool.Replaced, func(p *testPool, s *testSession) { _, _ = p.Register(s.ID(), new(testConn)) }},
	{pool.Shutdown, func(p *testPool, _ *testSession) { _ = p.Shutdown(context.Background()) }},
}
