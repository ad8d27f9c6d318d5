package pool_test

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestLogger_GetsALineForEachSession(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var log harness.LogBuffer
		p := newPool(t, testConfig{IdleTimeout: time.Minute, MaxSessions: 2, Logger: harness.Logger(&log, slog.LevelDebug), OnSessionClosed: func(s *testSession, _ pool.Reason) {
			require.Contains(t, log.String(), fmt.Sprintf("session closed\" session=%d ", s.ID()), "logged before the callback")
		}})
		one := mustRegister(t, p, 1)
		mustRegister(t, p, 2)
		_, err := p.Register(3, new(testConn))
		require.ErrorIs(t, err, pool.ErrFull)
		_, err = p.Register(2, new(testConn))
		require.ErrorIs(t, err, pool.ErrDuplicateID)
		time.Sleep(time.Second)
		one.Close("Bye")
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []string{
			`level=DEBUG msg="pool: session registered" session=1`,
			`level=DEBUG msg="pool: session registered" session=2`,
			`level=WARN msg="pool: session refused" session=3 error="` + pool.ErrFull.Error() + `"`,
			`level=WARN msg="pool: session refused" session=2 error="` + pool.ErrDuplicateID.Error() + `"`,
			`level=INFO msg="pool: session closed" session=1 reason=Bye idle=1s age=1s`,
			`level=INFO msg="pool: session closed" session=2 reason=Timeout idle=1m0s age=1m0s`,
			``,
		}, strings.Split(log.String(), "\n"))
	})
}

func TestLogger_GetsTheAddressOfAConnectionThatHasOne(t *testing.T) {
	var log harness.LogBuffer
	p, err := pool.New(pool.Config[string, net.Conn]{Logger: harness.Logger(&log, slog.LevelDebug)})
	require.NoError(t, err)
	defer p.Shutdown(t.Context())
	mine, theirs := net.Pipe()
	defer theirs.Close()
	s, err := p.Register("me", mine)
	require.NoError(t, err)
	require.True(t, s.Close("Bye"))
	require.Equal(t, 2, strings.Count(log.String(), "session=me remote=pipe"), log.String())
}

func TestLogger_GetsNothingBelowItsLevel(t *testing.T) {
	var log harness.LogBuffer
	p := newPool(t, testConfig{MaxSessions: 1, Logger: harness.Logger(&log, slog.LevelError)})
	mustRegister(t, p, 1).Close("Bye")
	require.Empty(t, log.String())
}

func TestLimitLog_PassesAHundredOfAKindInASecondAndSaysHowManyItSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log harness.LogBuffer
		plain := harness.Logger(&log, slog.LevelDebug)
		l := pool.LimitLog(plain)
		require.Same(t, l, pool.LimitLog(l), "limited once")
		require.Nil(t, pool.LimitLog(nil))
		count := func(part string) int { return strings.Count(log.String(), part) }
		for i := range 1000 {
			l.Info("storm", "i", i)
			l.With("with", 1).Info("storm", "i", i) // of the same kind
		}
		l.Warn("storm")
		l.Info("calm")
		require.Equal(t, 100, count("level=INFO msg=storm"))
		require.Equal(t, 1, count("level=WARN msg=storm"), "of another level")
		require.Equal(t, 1, count("msg=calm"), "another message")
		require.Zero(t, count("skipped"))

		time.Sleep(time.Second - 1)
		l.Info("storm")
		require.Equal(t, 100, count("level=INFO msg=storm"), "within the second")
		time.Sleep(time.Nanosecond)
		l.WithGroup("g").Info("storm", "k", "v")
		l.Info("storm")
		require.Equal(t, 102, count("level=INFO msg=storm"))
		require.Equal(t, 1, count("g.k=v g.skipped=1901"), log.String())
		require.Equal(t, 1, count("skipped"), "said once")
	})
}

func TestLimitLog_IsSafeForManyGoroutines(t *testing.T) {
	var log harness.LogBuffer
	l := pool.LimitLog(harness.Logger(&log, slog.LevelInfo))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				l.Info("storm")
			}
		})
	}
	all.Wait()
	require.GreaterOrEqual(t, strings.Count(log.String(), "storm"), 100)
}
