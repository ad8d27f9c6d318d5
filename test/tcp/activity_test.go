package tcp_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestActivity_IsTheServersChoice(t *testing.T) {
	const idle = 10 * time.Second
	for _, tt := range []struct {
		activity tcp.Activity
		act      string // "frame", "part", "send" at 8s
		want     time.Duration
	}{
		{tcp.ReceivedOrSent, "frame", 18 * time.Second},
		{tcp.ReceivedOrSent, "send", 18 * time.Second},
		{tcp.ReceivedOrSent, "part", 10 * time.Second},
		{tcp.ReceivedOrSent, "nothing", 10 * time.Second},
		{tcp.Received, "frame", 18 * time.Second},
		{tcp.Received, "send", 10 * time.Second},
		{tcp.Received, "part", 10 * time.Second},
		{tcp.Sent, "frame", 10 * time.Second},
		{tcp.Sent, "send", 18 * time.Second},
		{tcp.Sent, "reply", 18 * time.Second},
	} {
		t.Run(fmt.Sprintf("activity=%d/%s", tt.activity, tt.act), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tcp.Server{IdleTimeout: idle, Activity: tt.activity}
				if tt.act == "reply" {
					srv.OnMessage = harness.EchoLine
				}
				e := watch(srv)
				c := harness.ListenPipes(t, srv)()
				go io.Copy(io.Discard, c) //nolint:errcheck // ends when the session is closed
				start := time.Now()
				s := harness.Next(t, e.opened)
				time.Sleep(8 * time.Second)
				switch tt.act {
				case "frame", "reply":
					harness.Write(t, c, "hello\n")
				case "part":
					harness.Write(t, c, "hel")
				case "send":
					require.NoError(t, s.Send([]byte("news\n")))
				}
				require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
				require.GreaterOrEqual(t, time.Since(start), tt.want)
				require.Less(t, time.Since(start), tt.want+time.Second)
				require.Empty(t, e.errors, "a timeout is no error")
			})
		})
	}
}

func TestIdleTimeout_WaitsWhileOnMessageRuns(t *testing.T) {
	for _, activity := range []tcp.Activity{tcp.ReceivedOrSent, tcp.Received, tcp.Sent} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{
				IdleTimeout: 10 * time.Second,
				Activity:    activity,
				OnMessage:   func(*tcp.Session, []byte) { time.Sleep(time.Hour) },
			}
			e := watch(srv)
			c := harness.ListenPipes(t, srv)()
			start := time.Now()
			harness.Write(t, c, "work\n")
			time.Sleep(time.Hour)
			require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
			want := time.Hour + 10*time.Second // a whole idle timeout follows
			if activity == tcp.Sent {
				want = time.Hour // nothing was sent
			}
			require.GreaterOrEqual(t, time.Since(start), want)
			require.Less(t, time.Since(start), want+2*time.Second)
		})
	}
}

func TestIdleTimeout_CountsFromTheEndOfOnNewSessionRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{
			IdleTimeout:          10 * time.Second,
			OnNewSessionRegister: func(*tcp.Session) { time.Sleep(8 * time.Second) },
		}
		e := watch(srv)
		start := time.Now()
		harness.ListenPipes(t, srv)()
		require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
		require.GreaterOrEqual(t, time.Since(start), 18*time.Second)
	})
}

func TestHold_AndSetIdleTimeoutActOnOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: 10 * time.Second}
		e := watch(srv)
		harness.ListenPipes(t, srv)()
		s := harness.Next(t, e.opened)
		s.SetIdleTimeout(20 * time.Second)
		time.Sleep(15 * time.Second)
		require.Empty(t, e.closed)
		release := s.Hold()
		time.Sleep(time.Hour)
		require.Empty(t, e.closed)
		release()
		time.Sleep(19 * time.Second)
		require.Empty(t, e.closed)
		require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
	})
}

func TestLifetime_EndsAnActiveSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: 10 * time.Second, MaxLifetime: 33 * time.Second, OnMessage: harness.EchoLine}
		e := watch(srv)
		c := harness.ListenPipes(t, srv)()
		for range 6 {
			harness.Write(t, c, "x\n")
			harness.Read(t, c, "x\n")
			time.Sleep(5 * time.Second)
		}
		require.Equal(t, pool.Lifetime, harness.Next(t, e.closed))
		require.Empty(t, e.errors)
	})
}

func TestIdleTimeout_ClosesSilentSocketsAndKeepsItsReason(t *testing.T) {
	srv := &tcp.Server{IdleTimeout: 50 * time.Millisecond}
	e := watch(srv)
	dial := harness.ListenTCP(t, srv)
	const n = 50
	for range n {
		dial()
	}
	for range n {
		require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
	}
	require.Empty(t, e.errors, "the read error that closing causes is nobody's business")
	require.EqualValues(t, n, srv.Stats().ByReason[pool.Timeout])
}

func TestIdleTimeout_OfAServerIsOnByDefaultAndOffWhenNegative(t *testing.T) {
	for idle, want := range map[time.Duration]bool{0: true, -1: false} {
		synctest.Test(t, func(t *testing.T) {
			srv := &tcp.Server{IdleTimeout: idle}
			e := watch(srv)
			harness.ListenPipes(t, srv)()
			harness.Next(t, e.opened)
			time.Sleep(5*time.Minute - time.Second)
			require.Empty(t, e.closed)
			time.Sleep(2 * time.Second)
			require.Equal(t, want, len(e.closed) == 1)
			time.Sleep(24 * time.Hour)
			require.Equal(t, want, len(e.closed) == 1)
		})
	}
}

func TestIdleTimeout_OfAServerCanBeChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: time.Hour}
		srv.SetIdleTimeout(10 * time.Second)
		require.Equal(t, 10*time.Second, srv.IdleTimeout)
		e := watch(srv)
		dial := harness.ListenPipes(t, srv)
		begun := time.Now()
		c := dial()
		require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
		require.InDelta(t, 10*time.Second, time.Since(begun), float64(time.Second))
		harness.WaitClosed(t, c)

		c = dial()
		begun = time.Now()
		synctest.Wait()
		srv.SetIdleTimeout(-1)
		time.Sleep(time.Minute)
		require.Empty(t, e.closed)
		srv.SetIdleTimeout(0) // the default
		require.Equal(t, pool.Timeout, <-e.closed)
		require.InDelta(t, 5*time.Minute, time.Since(begun), float64(time.Second))
		harness.WaitClosed(t, c)
	})
}

// While its timer fires, the session is nearly always in OnMessage.
func TestActivity_OfSendingIsNotThatOfAPeerThatSendsAllTheTime(t *testing.T) {
	const idle = 200 * time.Millisecond
	for name, input := range map[string]string{
		"one after the other": "x\n",
		"a pipeline":          strings.Repeat("x\n", 4000),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tcp.Server{
					IdleTimeout: idle, Activity: tcp.Sent,
					OnMessage: func(*tcp.Session, []byte) { time.Sleep(time.Millisecond) },
				}
				e := watch(srv)
				c := harness.ListenPipes(t, srv)()
				go io.Copy(io.Discard, c) //nolint:errcheck // ends when the session is closed
				go func() {               // likewise
					for {
						if _, err := io.WriteString(c, input); err != nil {
							return
						}
					}
				}()
				s := harness.Next(t, e.opened)
				time.Sleep(100 * time.Millisecond)
				require.NoError(t, s.Send([]byte("news\n")))
				sent := time.Now()
				require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
				require.GreaterOrEqual(t, time.Since(sent), idle)
				require.Less(t, time.Since(sent), idle+50*time.Millisecond)
			})
		})
	}
}

func TestActivity_OfAHeldSessionCountsFromItsReleaseAndOfALongCallbackFromItsEnd(t *testing.T) {
	const idle = 10 * time.Second
	for _, tt := range []struct {
		name     string
		activity tcp.Activity
		hold     bool
		callback time.Duration
		want     time.Duration // since the frame
	}{
		{"held under Sent", tcp.Sent, true, 0, time.Minute + idle},
		{"held under Received", tcp.Received, true, 0, time.Minute + idle},
		{"a long callback under Sent", tcp.Sent, false, time.Minute, time.Minute},
		{"a long callback under Received", tcp.Received, false, time.Minute, time.Minute + idle},
		{"a long callback under ReceivedOrSent", tcp.ReceivedOrSent, false, time.Minute, time.Minute + idle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tcp.Server{IdleTimeout: idle, Activity: tt.activity, OnMessage: func(s *tcp.Session, _ []byte) {
					if tt.hold {
						time.AfterFunc(time.Minute, s.Hold())
					}
					time.Sleep(tt.callback)
				}}
				e := watch(srv)
				harness.Write(t, harness.ListenPipes(t, srv)(), "x\n")
				began := time.Now()
				require.Equal(t, pool.Timeout, <-e.closed)
				require.GreaterOrEqual(t, time.Since(began), tt.want)
				require.Less(t, time.Since(began), tt.want+time.Second)
			})
		})
	}
}

// The request comes just before the idle timeout, and is worked on beyond it.
func TestActivity_SentCountsTheReplyOfACallbackThatOutlivesTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{IdleTimeout: 10 * time.Second, Activity: tcp.Sent, OnMessage: func(s *tcp.Session, line []byte) {
			time.Sleep(2 * time.Second)
			require.NoError(t, s.Post([]byte("reply\n")))
		}}
		e := watch(srv)
		c := harness.ListenMemory(t, srv)()
		harness.Next(t, e.opened)
		time.Sleep(9 * time.Second)
		harness.Write(t, c, "x\n")
		harness.Read(t, c, "reply\n")
		start := time.Now()
		require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
		require.InDelta(t, 10, time.Since(start).Seconds(), 0.1)
	})
}
