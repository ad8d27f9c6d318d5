package tcp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestOnIdle_AsksASilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{
			IdleTimeout: 10 * time.Second, IdleWarning: 2 * time.Second, Activity: tcp.Received,
			OnIdle: func(s *tcp.Session) { require.NoError(t, s.Post([]byte("PING\n"))) },
		}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		harness.Next(t, e.opened)
		start := time.Now()
		for i := range 3 {
			harness.Read(t, c, "PING\n")
			require.InDelta(t, float64(8*(i+1)), time.Since(start).Seconds(), 0.1)
			harness.Write(t, c, "PONG\n")
		}
		harness.Read(t, c, "PING\n")
		require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
		require.InDelta(t, 34, time.Since(start).Seconds(), 0.1)
	})
}

// The zero Activity counts what OnIdle sends.
func TestOnIdle_ThatSendsIsActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{
			IdleTimeout: 10 * time.Second,
			OnIdle:      func(s *tcp.Session) { require.NoError(t, s.Post([]byte("PING\n"))) },
		}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		harness.Next(t, e.opened)
		for range 20 {
			harness.Read(t, c, "PING\n")
		}
		require.Empty(t, e.closed)
	})
}

// OnMessage waits for OnIdle, and no OnIdle is called beside OnMessage.
func TestOnIdle_IsOneOfTheSerialCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := false
		during := func(d time.Duration) {
			require.False(t, running, "two callbacks at the same time")
			running = true
			time.Sleep(d)
			running = false
		}
		srv := &tcp.Server{
			IdleTimeout: 4 * time.Second, Activity: tcp.Received,
			OnIdle:    func(*tcp.Session) { during(time.Second) },
			OnMessage: func(*tcp.Session, []byte) { during(5 * time.Second) },
			Farewell:  func(*tcp.Session, pool.Reason) []byte { during(time.Second); return nil },
		}
		e := watch(srv)
		closed := srv.OnSessionClosed
		srv.OnSessionClosed = func(s *tcp.Session, r pool.Reason) { during(time.Second); closed(s, r) }
		c := harness.ListenMemory(t, srv)()
		s := harness.Next(t, e.opened)
		time.Sleep(2500 * time.Millisecond) // in OnIdle
		harness.Write(t, c, "a\nb\n")
		time.Sleep(13 * time.Second) // both are handled, and the next OnIdle runs
		require.True(t, s.Close("Kicked"))
		require.Equal(t, pool.Reason("Kicked"), harness.Next(t, e.closed))
	})
}

func TestOnIdle_ThatCrashesEndsItsSessionAlone(t *testing.T) {
	for name, crash := range map[string]func(){"panic": func() { panic("trip") }, "Goexit": goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tcp.Server{IdleTimeout: 10 * time.Second, OnIdle: func(s *tcp.Session) {
					if s.ID() == 1 {
						crash()
					}
				}}
				e := watch(srv)
				dial := harness.ListenMemory(t, srv)
				dial()
				harness.Next(t, e.opened)
				time.Sleep(time.Second)
				dial()
				harness.Next(t, e.opened)
				require.Equal(t, tcp.ReasonPanic, harness.Next(t, e.closed))
				require.Error(t, harness.Next(t, e.errors))
				require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
			})
		})
	}
}

func TestOnIdle_IsNotCalledWhileBytesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: 10 * time.Second, WriteTimeout: -1, OnIdle: func(s *tcp.Session) { t.Error("called") }}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		require.NoError(t, harness.Next(t, e.opened).Post([]byte("never read")))
		time.Sleep(time.Minute)
		require.Empty(t, e.closed)
		require.NoError(t, c.Close())
		harness.Next(t, e.closed)
	})
}

func TestIdleWarning_NegativeIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: 10 * time.Second, IdleWarning: -1, OnIdle: func(s *tcp.Session) { t.Error("called") }}
		e := watch(srv)
		harness.ListenMemory(t, srv)()
		require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
	})
}
