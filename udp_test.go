package sessionwheel_test

import (
	"bytes"
	"context"
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
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// udpPatience is how long a test waits for what must happen.
const udpPatience = time.Minute

// udpNext waits for the next thing from ch.
func udpNext[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	timer := time.NewTimer(udpPatience)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		require.FailNow(t, "it did not happen")
		panic("unreachable")
	}
}

// udpUntil waits for a condition.
func udpUntil(t testing.TB, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, udpPatience, time.Millisecond)
}

// udpEvents is what the callbacks of a server were told.
type udpEvents struct {
	opened   chan *udp.Session
	messages chan string
	errors   chan error
	closed   chan pool.Reason
}

// udpWatch makes srv tell its events, as far as it has no callbacks of its own.
func udpWatch(srv *udp.Server) udpEvents {
	e := udpEvents{make(chan *udp.Session, 1000), make(chan string, 1000), make(chan error, 1000), make(chan pool.Reason, 1000)}
	if srv.OnNewSessionRegister == nil {
		srv.OnNewSessionRegister = func(s *udp.Session) { e.opened <- s }
	}
	if srv.OnMessage == nil {
		srv.OnMessage = func(_ *udp.Session, p []byte) { e.messages <- string(p) }
	}
	if srv.OnError == nil {
		srv.OnError = func(_ *udp.Session, err error) { e.errors <- err }
	}
	if srv.OnSessionClosed == nil {
		srv.OnSessionClosed = func(_ *udp.Session, r pool.Reason) { e.closed <- r }
	}
	return e
}

// udpEcho sends a datagram back.
func udpEcho(s *udp.Session, p []byte) { _ = s.Send(p) }

// udpServe serves pc until the test ends, waits for all that the server started,
// and looks whether its books balance.
func udpServe(t testing.TB, srv *udp.Server, pc net.PacketConn) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pc) }() // ends with Shutdown, waited for by the cleanup
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), udpPatience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		require.ErrorIs(t, udpNext(t, served), udp.ErrServerClosed)
		udpBalance(t, srv.Stats())
	})
}

// udpBalance judges the books of a server that has ended.
func udpBalance(t testing.TB, st udp.Stats) {
	t.Helper()
	require.Zero(t, st.Sessions)
	require.Equal(t, st.Registered, st.Closed)
	require.Equal(t, st.Received, st.Handled+st.TooLarge+st.PendingFull+st.BadAddress+st.Late+
		st.RefusedPerIP+st.RefusedFull+st.RefusedClosed, "%+v", st)
	require.Zero(t, st.RefusedDuplicate)
	require.Zero(t, st.ByReason[pool.Replaced], "a session that was closing has been closed again")
}

// udpListen serves on a socket of the loopback and returns its address.
func udpListen(t testing.TB, srv *udp.Server) net.Addr {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	udpServe(t, srv, pc)
	return pc.LocalAddr()
}

// udpDial is a peer with an address of its own.
func udpDial(t testing.TB, server net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", server.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func udpAddr(c net.Conn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func udpWrite(t testing.TB, c net.Conn, s string) {
	t.Helper()
	_, err := c.Write([]byte(s))
	require.NoError(t, err)
}

// udpRead reads one datagram.
func udpRead(t testing.TB, c net.Conn) string {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(udpPatience)))
	p := make([]byte, 1<<16)
	n, err := c.Read(p)
	require.NoError(t, err)
	return string(p[:n])
}

// udpAsk sends a datagram and reads one.
func udpAsk(t testing.TB, c net.Conn, s string) string {
	t.Helper()
	udpWrite(t, c, s)
	return udpRead(t, c)
}

func TestTheCallbacksOfOnePeerAreSerialAndInOrder(t *testing.T) {
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
	c := udpDial(t, udpListen(t, srv))
	want := []string{"open"}
	for i := range datagrams {
		udpWrite(t, c, fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
		if i >= 50 { // no more than the socket's buffer holds are under way
			udpRead(t, c)
		}
	}
	want = append(want, "last", "closed done")
	udpWrite(t, c, "last")
	require.Equal(t, want, udpNext(t, end))
}

func TestADatagramOfEachSizeArrivesWhole(t *testing.T) {
	sizes := []int{0, 1, 2, 511, 512, 513, 1472, 1473, 2047, 2048, 2049, 8191, 8192, 8193, 32767, 32768, 65506, 65507}
	for n := 3; n < 65_507; n += 521 {
		sizes = append(sizes, n)
	}
	got := make(chan []byte, 1)
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		got <- bytes.Clone(p)
		udpEcho(s, p)
	}}
	c := udpDial(t, udpListen(t, srv))
	noise := make([]byte, 65_507)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	for _, n := range sizes {
		p := noise[len(noise)-n:]
		require.True(t, bytes.Equal(p, []byte(udpAsk(t, c, string(p)))), "%d bytes, echoed", n)
		require.True(t, bytes.Equal(p, udpNext(t, got)), "%d bytes", n)
	}
	st := srv.Stats()
	require.EqualValues(t, len(sizes), st.Handled)
	require.EqualValues(t, 1, st.Registered)
}

func TestADatagramOverMaxDatagramIsDroppedWholeAndEndsNothing(t *testing.T) {
	srv := &udp.Server{MaxDatagram: 1000}
	e := udpWatch(srv)
	to := udpListen(t, srv)
	stranger := udpDial(t, to)
	udpWrite(t, stranger, strings.Repeat("x", 65_000))
	require.ErrorIs(t, udpNext(t, e.errors), udp.ErrTooLarge)

	c := udpDial(t, to)
	fits, tooLarge := strings.Repeat("a", 1000), strings.Repeat("b", 1001)
	for range 3 {
		udpWrite(t, c, tooLarge)
		udpWrite(t, c, fits)
		require.Equal(t, fits, udpNext(t, e.messages))
	}
	st := srv.Stats()
	require.EqualValues(t, 4, st.TooLarge)
	require.EqualValues(t, 3, st.Handled)
	require.EqualValues(t, 1, st.Registered, "what is too large begins no session")
	require.Zero(t, st.Closed)
}

func TestAnEmptyDatagramIsOneBothWays(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		if p != nil && len(p) == 0 {
			_ = s.Send(nil)
		}
	}}
	c := udpDial(t, udpListen(t, srv))
	require.Empty(t, udpAsk(t, c, ""))
}

func TestEachAddressHasASessionOfItsOwn(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		before, _ := s.Value().(string)
		s.SetValue(before + string(p))
		_ = s.Send([]byte(s.Value().(string)))
	}}
	require.Zero(t, srv.Stats())
	require.Empty(t, slices.Collect(srv.Sessions()))
	to := udpListen(t, srv)
	peers := make([]net.Conn, 20)
	for i := range peers {
		peers[i] = udpDial(t, to)
		udpAsk(t, peers[i], fmt.Sprint(i))
	}
	for i, c := range peers {
		require.Equal(t, fmt.Sprint(i)+"!", udpAsk(t, c, "!"))
		s, ok := srv.Session(udpAddr(c))
		require.True(t, ok)
		require.Equal(t, udpAddr(c), s.RemoteAddr())
		require.Equal(t, udpAddr(c), s.ID())
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

func TestADatagramAfterACloseBeginsAnotherSession(t *testing.T) {
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		udpEcho(s, p)
		if string(p) == "quit" && (!s.Close("quit") || s.Close("again")) {
			panic("the first Close closes, and no other")
		}
	}}
	e := udpWatch(srv)
	c := udpDial(t, udpListen(t, srv))
	var old *udp.Session
	for range 50 {
		require.Equal(t, "hello", udpAsk(t, c, "hello"))
		s := udpNext(t, e.opened)
		require.NotSame(t, old, s)
		require.Equal(t, "quit", udpAsk(t, c, "quit"))
		require.Equal(t, pool.Reason("quit"), udpNext(t, e.closed))
		old = s
	}
	udpUntil(t, func() bool { return errors.Is(old.Send([]byte("late")), udp.ErrSessionClosed) }) // its callback has returned
	require.Empty(t, e.errors)
	require.EqualValues(t, 50, srv.Stats().ByReason["quit"])
}

func TestWhatIsPendingBehindACloseIsDroppedAndCounted(t *testing.T) {
	began, gate := make(chan string, 10), make(chan struct{})
	srv := &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		began <- string(p)
		<-gate
		s.Close("enough")
	}}
	e := udpWatch(srv)
	c := udpDial(t, udpListen(t, srv))
	for _, p := range []string{"a", "b", "c"} {
		udpWrite(t, c, p)
	}
	require.Equal(t, "a", udpNext(t, began))
	udpUntil(t, func() bool { return srv.Stats().Received == 3 })
	close(gate)
	require.Equal(t, pool.Reason("enough"), udpNext(t, e.closed))
	require.Empty(t, began)
	st := srv.Stats()
	require.EqualValues(t, 2, st.Late)
	require.EqualValues(t, 1, st.Handled)
}

func TestASessionClosedInItsFirstCallbackGetsNoMessage(t *testing.T) {
	srv := &udp.Server{OnNewSessionRegister: func(s *udp.Session) { s.Close("not you") }}
	e := udpWatch(srv)
	udpWrite(t, udpDial(t, udpListen(t, srv)), "a")
	require.Equal(t, pool.Reason("not you"), udpNext(t, e.closed))
	require.Empty(t, e.messages)
	require.EqualValues(t, 1, srv.Stats().Late)
}

func TestALastWordIsSentFromOnSessionClosedAndFromNowhereLater(t *testing.T) {
	sent := make(chan error, 2)
	srv := &udp.Server{
		OnMessage: func(s *udp.Session, _ []byte) {
			s.Close("done")
			sent <- s.Send([]byte("not this"))
		},
		OnSessionClosed: func(s *udp.Session, r pool.Reason) { sent <- s.Send([]byte("bye: " + r)) },
	}
	c := udpDial(t, udpListen(t, srv))
	require.Equal(t, "bye: done", udpAsk(t, c, "hello"))
	require.ErrorIs(t, udpNext(t, sent), udp.ErrSessionClosed)
	require.NoError(t, udpNext(t, sent))
}

func TestACrashedCallbackEndsItsSessionAlone(t *testing.T) {
	for _, crash := range []struct {
		name string
		do   func()
		is   func(error) bool
	}{
		{"panic", func() { panic(os.ErrInvalid) }, func(err error) bool {
			var p *udp.PanicError
			return errors.As(err, &p) && errors.Is(err, os.ErrInvalid) && bytes.Contains(p.Stack, []byte("udp_test.go"))
		}},
		{"Goexit", runtime.Goexit, func(err error) bool { return errors.Is(err, udp.ErrGoexit) }},
	} {
		for _, callback := range []string{"OnNewSessionRegister", "OnMessage"} {
			t.Run(crash.name+" in "+callback, func(t *testing.T) {
				var doomed atomic.Value // the address that callbacks crash for
				fuse := func(in string, s *udp.Session) {
					if in == callback && doomed.Load() == s.RemoteAddr() {
						crash.do()
					}
				}
				srv := &udp.Server{
					MaxCallbacks:         1, // the one worker must not be lost
					OnNewSessionRegister: func(s *udp.Session) { fuse("OnNewSessionRegister", s) },
					OnMessage:            func(s *udp.Session, p []byte) { fuse("OnMessage", s); udpEcho(s, p) },
				}
				e := udpWatch(srv)
				to := udpListen(t, srv)
				victim, other := udpDial(t, to), udpDial(t, to)
				doomed.Store(udpAddr(victim))
				require.Equal(t, "a", udpAsk(t, other, "a"))
				udpWrite(t, victim, "boom")
				require.True(t, crash.is(udpNext(t, e.errors)))
				require.Equal(t, udp.ReasonPanic, udpNext(t, e.closed))
				require.Equal(t, "b", udpAsk(t, other, "b"))
				require.Empty(t, e.closed)
				require.Empty(t, e.errors)
			})
		}
	}
}

func TestACrashAtTheEndOfASessionEndsNothingElse(t *testing.T) {
	for name, crash := range map[string]func(){"panic": func() { panic("at the end") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			srv := &udp.Server{MaxCallbacks: 1, MaxSessions: 1, MaxSessionsPerIP: 1}
			srv.OnMessage = func(s *udp.Session, p []byte) {
				if string(p) == "boom" {
					crash()
				}
				udpEcho(s, p)
			}
			told := make(chan string, 10)
			srv.OnError = func(s *udp.Session, err error) {
				if s != nil { // not a refused datagram
					told <- "error"
					crash()
				}
			}
			srv.OnSessionClosed = func(*udp.Session, pool.Reason) { told <- "closed"; crash() }
			to := udpListen(t, srv)
			c := udpDial(t, to)
			require.Equal(t, "a", udpAsk(t, c, "a"))
			udpWrite(t, c, "boom")
			require.Equal(t, "error", udpNext(t, told))
			require.Equal(t, "closed", udpNext(t, told))
			// Its place is free again: somebody else gets in.
			d := udpDial(t, to)
			udpUntil(t, func() bool {
				udpWrite(t, d, "b")
				_, ok := srv.Session(udpAddr(d))
				return ok
			})
		})
	}
}

func TestTheIdleTimeoutOfAServerOfDatagramsCanBeChanged(t *testing.T) {
	srv := &udp.Server{IdleTimeout: time.Hour, OnMessage: udpEcho}
	srv.SetIdleTimeout(2 * time.Hour)
	require.Equal(t, 2*time.Hour, srv.IdleTimeout)
	c := udpDial(t, udpListen(t, srv))
	require.Equal(t, "x", udpAsk(t, c, "x"))
	s, ok := srv.Session(udpAddr(c))
	require.True(t, ok)
	until := func(least, most time.Duration) {
		t.Helper()
		udpUntil(t, func() bool { // while OnMessage runs there is none
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
