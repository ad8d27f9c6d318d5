package udp_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestCallbacks_OfOnePeerAreSerialAndInOrder(t *testing.T) {
	const datagrams = 500
	var (
		inside atomic.Int32
		calls  []string // unguarded: the race detector sees callbacks that are not serial
		end    = make(chan []string, 1)
	)
	note := func(format string, args ...any) {
		if inside.Add(1) != 1 {
			calls = append(calls, "two at once")
		}
		calls = append(calls, fmt.Sprintf(format, args...))
		runtime.Gosched()
		inside.Add(-1)
	}
	srv := &udp.Server{
		MaxPending:           datagrams + 1,
		OnNewSessionRegister: func(*udp.Session) { note("open") },
		OnMessage: func(s *udp.Session, p []byte) {
			note("%s", p)
			_ = s.Send(p[:0]) // lets the peer send another one
			if string(p) == "last" {
				s.Close("done")
			}
		},
		OnSessionClosed: func(_ *udp.Session, r pool.Reason) { note("closed %s", r); end <- calls },
	}
	c := dialUDP(t, listenUDP(t, srv))
	want := []string{"open"}
	for i := range datagrams {
		write(t, c, fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
		if i >= 50 { // no more are under way than the socket's buffer holds
			read(t, c)
		}
	}
	want = append(want, "last", "closed done")
	write(t, c, "last")
	require.Equal(t, want, harness.Next(t, end))
}

func TestDatagram_OfEachSizeArrivesWhole(t *testing.T) {
	sizes := []int{0, 1, 2, 511, 512, 513, 1472, 1473, 2047, 2048, 2049, 8191, 8192, 8193, 32767, 32768, 65506, 65507}
	for n := 3; n < 65_507; n += 521 {
		sizes = append(sizes, n)
	}
	got := make(chan []byte, 1)
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		got <- bytes.Clone(p)
		echo(s, p)
	}}
	c := dialUDP(t, listenUDP(t, srv))
	noise := make([]byte, 65_507)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	for _, n := range sizes {
		p := noise[len(noise)-n:]
		require.True(t, bytes.Equal(p, []byte(ask(t, c, string(p)))), "%d bytes, echoed", n)
		require.True(t, bytes.Equal(p, harness.Next(t, got)), "%d bytes", n)
	}
	st := srv.Stats()
	require.EqualValues(t, len(sizes), st.Handled)
	require.EqualValues(t, 1, st.Registered)
}

func TestMaxDatagram_ADatagramOverItIsDroppedAndEndsNothing(t *testing.T) {
	srv := &udp.Server{MaxDatagram: 1000}
	e := watch(srv)
	to := listenUDP(t, srv)
	stranger := dialUDP(t, to)
	write(t, stranger, strings.Repeat("x", 65_000))
	require.ErrorIs(t, harness.Next(t, e.errors), udp.ErrTooLarge)

	c := dialUDP(t, to)
	fits, tooLarge := strings.Repeat("a", 1000), strings.Repeat("b", 1001)
	for range 3 {
		write(t, c, tooLarge)
		write(t, c, fits)
		require.Equal(t, fits, harness.Next(t, e.messages))
	}
	st := srv.Stats()
	require.EqualValues(t, 4, st.TooLarge)
	require.EqualValues(t, 3, st.Handled)
	require.EqualValues(t, 1, st.Registered, "what is too large begins no session")
	require.Zero(t, st.Closed)
}

func TestDatagram_ThatIsEmptyIsOneBothWays(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		if p != nil && len(p) == 0 {
			_ = s.Send(nil)
		}
	}}
	c := dialUDP(t, listenUDP(t, srv))
	require.Empty(t, ask(t, c, ""))
}

func TestSession_EachAddressHasItsOwn(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		before, _ := s.Value().(string)
		s.SetValue(before + string(p))
		_ = s.Send([]byte(s.Value().(string)))
	}}
	require.Zero(t, srv.Stats())
	require.Empty(t, slices.Collect(srv.Sessions()))
	to := listenUDP(t, srv)
	peers := make([]net.Conn, 20)
	for i := range peers {
		peers[i] = dialUDP(t, to)
		ask(t, peers[i], fmt.Sprint(i))
	}
	for i, c := range peers {
		require.Equal(t, fmt.Sprint(i)+"!", ask(t, c, "!"))
		s, ok := srv.Session(localAddr(c))
		require.True(t, ok)
		require.Equal(t, localAddr(c), s.RemoteAddr())
		require.Equal(t, localAddr(c), s.ID())
		mapped := netip.AddrPortFrom(netip.AddrFrom16(s.ID().Addr().As16()), s.ID().Port())
		same, ok := srv.Session(mapped)
		require.True(t, ok)
		require.Same(t, s, same)
	}
	require.Len(t, slices.Collect(srv.Sessions()), len(peers))
	require.Equal(t, len(peers), srv.Stats().Sessions)
	_, ok := srv.Session(netip.MustParseAddrPort("127.0.0.1:1"))
	require.False(t, ok)
	for range srv.Sessions() {
		break // which is allowed
	}
}

func TestSession_ADatagramAfterACloseBeginsAnother(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		echo(s, p)
		if string(p) == "quit" && (!s.Close("quit") || s.Close("again")) {
			panic("the first Close closes, and no other")
		}
	}}
	e := watch(srv)
	c := dialUDP(t, listenUDP(t, srv))
	var old *udp.Session
	for range 50 {
		require.Equal(t, "hello", ask(t, c, "hello"))
		s := harness.Next(t, e.opened)
		require.NotSame(t, old, s)
		require.Equal(t, "quit", ask(t, c, "quit"))
		require.Equal(t, pool.Reason("quit"), harness.Next(t, e.closed))
		old = s
	}
	harness.Until(t, func() bool { return errors.Is(old.Send([]byte("late")), udp.ErrSessionClosed) }) // its callback has returned
	require.Empty(t, e.errors)
	require.EqualValues(t, 50, srv.Stats().ByReason["quit"])
}

func TestClose_DropsAndCountsWhatIsPending(t *testing.T) {
	began, gate := make(chan string, 10), make(chan struct{})
	srv := &udp.Server{MaxDatagram: 1, OnMessage: func(s *udp.Session, p []byte) {
		began <- string(p)
		<-gate
		s.Close("enough")
	}}
	e := watch(srv)
	c := dialUDP(t, listenUDP(t, srv))
	for _, p := range []string{"a", "b", "c", "too large"} {
		write(t, c, p)
	}
	require.Equal(t, "a", harness.Next(t, began))
	harness.Until(t, func() bool { return srv.Stats().TooLarge == 1 }) // and so the others are pending
	close(gate)
	require.Equal(t, pool.Reason("enough"), harness.Next(t, e.closed))
	require.Empty(t, began)
	st := srv.Stats()
	require.EqualValues(t, 2, st.Late)
	require.EqualValues(t, 1, st.Handled)
}

func TestOnMessage_IsNotCalledWhenTheFirstCallbackHasClosedTheSession(t *testing.T) {
	srv := &udp.Server{OnNewSessionRegister: func(s *udp.Session) { s.Close("not you") }}
	e := watch(srv)
	write(t, dialUDP(t, listenUDP(t, srv)), "a")
	require.Equal(t, pool.Reason("not you"), harness.Next(t, e.closed))
	require.Empty(t, e.messages)
	require.EqualValues(t, 1, srv.Stats().Late)
}

func TestOnSessionClosed_MaySendALastWord(t *testing.T) {
	sent := make(chan error, 2)
	srv := &udp.Server{
		OnMessage: func(s *udp.Session, _ []byte) {
			s.Close("done")
			sent <- s.Send([]byte("not this"))
		},
		OnSessionClosed: func(s *udp.Session, r pool.Reason) { sent <- s.Send([]byte("bye: " + r)) },
	}
	c := dialUDP(t, listenUDP(t, srv))
	require.Equal(t, "bye: done", ask(t, c, "hello"))
	require.ErrorIs(t, harness.Next(t, sent), udp.ErrSessionClosed)
	require.NoError(t, harness.Next(t, sent))
}

func TestPanic_OfACallbackEndsItsSessionAlone(t *testing.T) {
	for _, crash := range []struct {
		name string
		do   func()
		is   func(error) bool
	}{
		{"panic", func() { panic(os.ErrInvalid) }, func(err error) bool {
			var p *udp.PanicError
			return errors.As(err, &p) && errors.Is(err, os.ErrInvalid) && bytes.Contains(p.Stack, []byte("session_test.go"))
		}},
		{"Goexit", runtime.Goexit, func(err error) bool { return errors.Is(err, udp.ErrGoexit) }},
	} {
		for _, callback := range []string{"OnNewSessionRegister", "OnMessage"} {
			t.Run(crash.name+" in "+callback, func(t *testing.T) {
				var doomed atomic.Value // callbacks panic for this address
				fuse := func(in string, s *udp.Session) {
					if in == callback && doomed.Load() == s.RemoteAddr() {
						crash.do()
					}
				}
				srv := &udp.Server{
					MaxCallbacks:         1, // the one worker must not be lost
					OnNewSessionRegister: func(s *udp.Session) { fuse("OnNewSessionRegister", s) },
					OnMessage:            func(s *udp.Session, p []byte) { fuse("OnMessage", s); echo(s, p) },
				}
				e := watch(srv)
				to := listenUDP(t, srv)
				victim, other := dialUDP(t, to), dialUDP(t, to)
				doomed.Store(localAddr(victim))
				require.Equal(t, "a", ask(t, other, "a"))
				write(t, victim, "boom")
				require.True(t, crash.is(harness.Next(t, e.errors)))
				require.Equal(t, udp.ReasonPanic, harness.Next(t, e.closed))
				require.Equal(t, "b", ask(t, other, "b"))
				require.Empty(t, e.closed)
				require.Empty(t, e.errors)
			})
		}
	}
}

func TestPanic_AtTheEndOfASessionEndsNothingElse(t *testing.T) {
	for name, crash := range map[string]func(){"panic": func() { panic("at the end") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			srv := &udp.Server{MaxCallbacks: 1, MaxSessions: 1, MaxSessionsPerIP: 1}
			srv.OnMessage = func(s *udp.Session, p []byte) {
				if string(p) == "boom" {
					crash()
				}
				echo(s, p)
			}
			told := make(chan string, 10)
			srv.OnError = func(s *udp.Session, err error) {
				if s != nil { // not a refused datagram
					told <- "error"
					crash()
				}
			}
			srv.OnSessionClosed = func(*udp.Session, pool.Reason) { told <- "closed"; crash() }
			to := listenUDP(t, srv)
			c := dialUDP(t, to)
			require.Equal(t, "a", ask(t, c, "a"))
			write(t, c, "boom")
			require.Equal(t, "error", harness.Next(t, told))
			require.Equal(t, "closed", harness.Next(t, told))
			// Its place is free again for another peer.
			d := dialUDP(t, to)
			harness.Until(t, func() bool {
				write(t, d, "b")
				_, ok := srv.Session(localAddr(d))
				return ok
			})
		})
	}
}

func TestPanic_InOnSessionClosedIsReported(t *testing.T) {
	for name, crash := range map[string]func(){"panic": func() { panic(udp.ErrGoexit) }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			srv := &udp.Server{
				OnMessage:       func(s *udp.Session, _ []byte) { s.Close("done") },
				OnSessionClosed: func(*udp.Session, pool.Reason) { crash() },
			}
			bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
				w.send("192.0.2.1:1", "x")
				synctest.Wait()
				require.Len(t, e.errors, 1)
				require.ErrorIs(t, <-e.errors, udp.ErrGoexit)
			})
		})
	}
}

func TestIdleTimeout_OfAUDPServerCanBeChanged(t *testing.T) {
	srv := &udp.Server{IdleTimeout: time.Hour, OnMessage: echo}
	srv.SetIdleTimeout(2 * time.Hour)
	require.Equal(t, 2*time.Hour, srv.IdleTimeout)
	c := dialUDP(t, listenUDP(t, srv))
	require.Equal(t, "x", ask(t, c, "x"))
	s, ok := srv.Session(localAddr(c))
	require.True(t, ok)
	until := func(least, most time.Duration) {
		t.Helper()
		harness.Until(t, func() bool { // while OnMessage runs there is none
			deadline, ok := s.Deadline()
			return ok && time.Until(deadline) <= most && time.Until(deadline) > least
		})
	}
	until(time.Hour, 2*time.Hour)
	srv.SetIdleTimeout(0) // the default
	until(0, time.Minute)
	srv.SetIdleTimeout(time.Hour)
	until(time.Minute, time.Hour)
	srv.SetIdleTimeout(-1)
	_, ok = s.Deadline()
	require.False(t, ok)
}

func TestClose_WithoutAReasonIsClosed(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, _ []byte) { s.Close("") }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send("192.0.2.1:1", "x")
		require.Equal(t, pool.Closed, harness.Next(t, e.closed))
		require.EqualValues(t, 1, srv.Stats().ByReason[pool.Closed])
	})
}
