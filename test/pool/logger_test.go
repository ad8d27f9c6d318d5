package pool_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// panickingLog panics at records of one level.
type panickingLog struct {
	slog.Handler
	at slog.Level
}

func (h panickingLog) Enabled(context.Context, slog.Level) bool { return true }

func (h panickingLog) Handle(_ context.Context, r slog.Record) error {
	if r.Level == h.at {
		panic("in the Logger")
	}
	return nil
}

// recovered calls f and returns what it panicked with.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestLogger_ThatPanicsLeavesTheBooksInOrder(t *testing.T) {
	// What is logged when a session is registered, refused and closed.
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelWarn, slog.LevelInfo} {
		for _, handed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v, OnPanic: %v", level, handed), func(t *testing.T) {
				harness.Bubble(t, func(t *testing.T) { loggerPanics(t, level, handed) })
			})
		}
	}
}

func loggerPanics(t *testing.T, level slog.Level, handed bool) {
	var told, panics atomic.Int64
	c := testConfig{
		IdleTimeout: time.Minute, MaxSessions: 3,
		Logger:          slog.New(panickingLog{slog.DiscardHandler, level}),
		OnSessionClosed: func(*testSession, pool.Reason) { told.Add(1) },
	}
	if handed {
		c.OnPanic = func(v any, _ []byte) {
			require.Equal(t, "in the Logger", v)
			panics.Add(1)
		}
	}
	p := newPool(t, c)
	// call notes a panic that reaches the caller.
	call := func(f func()) {
		if v := recovered(f); v != nil {
			require.False(t, handed, "OnPanic takes what the Logger panics with")
			require.Equal(t, "in the Logger", v)
			panics.Add(1)
		}
	}
	var sessions []*testSession
	for id := range 3 {
		call(func() { _, _ = p.Register(id, new(testConn)) })
		s, ok := p.Get(id)
		require.True(t, ok)
		sessions = append(sessions, s)
	}
	refused := new(testConn)
	call(func() { _, _ = p.Register(3, refused) })
	call(func() { _, _ = p.Register(0, refused) })
	require.Zero(t, refused.closes.Load())
	require.Equal(t, 3, p.Len())
	call(func() { sessions[0].Close("Bye") })
	call(func() { p.CloseSession(1, "Kicked") })
	if handed { // else the panic ends the process, as any on a goroutine of the wheel's
		time.Sleep(time.Hour)
		synctest.Wait()
	} else {
		call(func() { sessions[2].Close(pool.Timeout) })
	}
	require.EqualValues(t, map[slog.Level]int64{slog.LevelDebug: 3, slog.LevelWarn: 2, slog.LevelInfo: 3}[level], panics.Load())
	require.EqualValues(t, 3, told.Load(), "OnSessionClosed is called once for each")
	for _, s := range sessions {
		require.True(t, hasEnded(s))
		require.EqualValues(t, 1, s.Conn().closes.Load())
	}
	require.Zero(t, p.Len())
	require.Equal(t, pool.Stats{
		Registered: 3, Closed: 3, RefusedFull: 1, RefusedDuplicate: 1,
		ByReason: map[pool.Reason]uint64{"Bye": 1, "Kicked": 1, pool.Timeout: 1},
	}, p.Stats())
	call(func() { _, _ = p.Register(4, new(testConn)) }) // there is room again
	require.Equal(t, 1, p.Len())
	call(func() { p.CloseSession(4, "Bye") })
	require.NoError(t, p.Shutdown(t.Context()))
	require.EqualValues(t, 4, told.Load())
}

// addrConn is a connection that counts how often its address was formatted.
type addrConn struct {
	testConn
	formatted *atomic.Int64
}

func (c *addrConn) RemoteAddr() net.Addr { return countedAddr{c.formatted} }

type countedAddr struct{ formatted *atomic.Int64 }

func (countedAddr) Network() string { return "test" }

func (a countedAddr) String() string {
	a.formatted.Add(1)
	return "192.0.2.1:80"
}

// formattedAtClose closes sessions within a second, and returns how often their
// addresses were formatted.
func formattedAtClose(t *testing.T, sessions int, l *slog.Logger) int64 {
	var formatted atomic.Int64
	p, err := pool.New(pool.Config[int, *addrConn]{Logger: l})
	require.NoError(t, err)
	for id := range sessions {
		_, err := p.Register(id, &addrConn{formatted: &formatted})
		require.NoError(t, err)
	}
	require.Zero(t, formatted.Load(), "nothing was logged")
	for id := range sessions {
		require.True(t, p.CloseSession(id, "Bye"))
	}
	require.NoError(t, p.Shutdown(t.Context()))
	return formatted.Load()
}

// What the pool formats for RecentlyClosed is the same without a Logger.
func TestLogger_FormatsNoAddressForARecordThatIsDropped(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const sessions = 1000
		var log harness.LogBuffer
		logged := formattedAtClose(t, sessions, harness.Logger(&log, slog.LevelInfo)) - formattedAtClose(t, sessions, nil)
		require.Contains(t, log.String(), "remote=192.0.2.1:80")
		require.LessOrEqual(t, logged, int64(100))
		require.Positive(t, logged)
	})
}
