package udp_test

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// fakeSocket is a net.PacketConn for fake time, and for addresses that the loopback
// does not have.
type fakeSocket struct {
	in   chan packet
	out  chan packet
	fail atomic.Pointer[error] // what writing fails with

	local net.UDPAddr

	interrupt, close func()
	interrupted      chan struct{}
	closed           chan struct{}
}

// packet is a datagram, or an error of reading.
type packet struct {
	data string
	addr net.Addr
	err  error
}

func newFakeSocket() *fakeSocket {
	w := &fakeSocket{
		in: make(chan packet), out: make(chan packet, 10_000),
		interrupted: make(chan struct{}), closed: make(chan struct{}),
	}
	w.interrupt = sync.OnceFunc(func() { close(w.interrupted) })
	w.close = sync.OnceFunc(func() { close(w.closed) })
	return w
}

func (w *fakeSocket) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case d := <-w.in:
		return copy(p, d.data), d.addr, d.err
	case <-w.interrupted:
		return 0, nil, os.ErrDeadlineExceeded
	case <-w.closed:
		return 0, nil, net.ErrClosed
	}
}

func (w *fakeSocket) WriteTo(p []byte, addr net.Addr) (int, error) {
	if err := w.fail.Load(); err != nil {
		return 0, *err
	}
	select {
	case <-w.closed:
		return 0, net.ErrClosed
	case w.out <- packet{data: string(p), addr: addr}:
		return len(p), nil
	}
}

func (w *fakeSocket) SetReadDeadline(at time.Time) error {
	if at.Before(time.Now()) {
		w.interrupt()
	}
	return nil
}

func (w *fakeSocket) Close() error { w.close(); return nil }

func (w *fakeSocket) LocalAddr() net.Addr { return &w.local }

func (w *fakeSocket) SetDeadline(time.Time) error { return errors.ErrUnsupported }

func (w *fakeSocket) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// send hands the server a datagram from the given address.
func (w *fakeSocket) send(from, data string) {
	w.in <- packet{data: data, addr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from))}
}

// bubble runs f in a bubble with a server on a fakeSocket.
func bubble(t *testing.T, srv *udp.Server, f func(t *testing.T, w *fakeSocket, e serverEvents)) {
	synctest.Test(t, func(t *testing.T) {
		e := watch(srv)
		w := newFakeSocket()
		serveUDP(t, srv, w)
		f(t, w, e)
	})
}

const peerAddr = "192.0.2.1:5000"

func TestIdleTimeout_EndsASilentPeer(t *testing.T) {
	for _, tt := range []struct {
		name string
		srv  *udp.Server
		at   []time.Duration // datagrams, since the start
		send []time.Duration // by the server
		want time.Duration   // when the session closes; 0 is never
		why  pool.Reason
	}{
		{name: "silent", srv: &udp.Server{IdleTimeout: 10 * time.Second}, want: 10 * time.Second, why: pool.Timeout},
		{
			name: "each datagram re-arms", srv: &udp.Server{IdleTimeout: 10 * time.Second},
			at: []time.Duration{4 * time.Second, 13 * time.Second}, want: 23 * time.Second, why: pool.Timeout,
		},
		{
			name: "each send re-arms", srv: &udp.Server{IdleTimeout: 10 * time.Second},
			send: []time.Duration{4 * time.Second, 13 * time.Second}, want: 23 * time.Second, why: pool.Timeout,
		},
		{
			name: "a send does not when it does not count", srv: &udp.Server{IdleTimeout: 10 * time.Second, Activity: udp.Received},
			at: []time.Duration{2 * time.Second}, send: []time.Duration{4 * time.Second}, want: 12 * time.Second, why: pool.Timeout,
		},
		{
			name: "a datagram does not when it does not count", srv: &udp.Server{IdleTimeout: 10 * time.Second, Activity: udp.Sent},
			at: []time.Duration{4 * time.Second}, send: []time.Duration{2 * time.Second}, want: 12 * time.Second, why: pool.Timeout,
		},
		{name: "a minute unless told otherwise", srv: &udp.Server{}, want: time.Minute, why: pool.Timeout},
		{name: "off", srv: &udp.Server{IdleTimeout: -1}},
		{
			name: "lifetime", srv: &udp.Server{MaxLifetime: 90 * time.Second},
			at: []time.Duration{30 * time.Second, time.Minute}, want: 90 * time.Second, why: pool.Lifetime,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
				w.send(peerAddr, "first")
				synctest.Wait()
				s := <-e.opened
				start := time.Now()
				for len(tt.at)+len(tt.send) > 0 {
					if len(tt.send) == 0 || len(tt.at) > 0 && tt.at[0] < tt.send[0] {
						time.Sleep(tt.at[0] - time.Since(start))
						tt.at = tt.at[1:]
						w.send(peerAddr, "again")
						continue
					}
					time.Sleep(tt.send[0] - time.Since(start))
					tt.send = tt.send[1:]
					require.NoError(t, s.Send(nil))
				}
				if tt.want == 0 {
					time.Sleep(365 * 24 * time.Hour)
					require.Empty(t, e.closed)
					return
				}
				require.Equal(t, tt.why, <-e.closed)
				late := time.Since(start) - tt.want
				require.GreaterOrEqual(t, late, time.Duration(0))
				require.LessOrEqual(t, late, 50*time.Millisecond)
			})
		})
	}
}

func TestIdleTimeout_WaitsWhileDatagramsAreHandledOrTheSessionIsHeld(t *testing.T) {
	srv := &udp.Server{IdleTimeout: time.Second, OnMessage: func(*udp.Session, []byte) { time.Sleep(time.Minute) }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		start := time.Now()
		for range 3 {
			w.send(peerAddr, "a")
		}
		require.Equal(t, pool.Timeout, <-e.closed)
		require.GreaterOrEqual(t, time.Since(start), 3*time.Minute+time.Second)
		require.EqualValues(t, 3, srv.Stats().Handled)
		<-e.opened

		w.send(peerAddr, "again")
		release := (<-e.opened).Hold()
		time.Sleep(time.Hour)
		require.Empty(t, e.closed)
		release()
		require.Equal(t, pool.Timeout, <-e.closed)
	})
}

func TestSetIdleTimeout_OfASessionCounts(t *testing.T) {
	srv := &udp.Server{IdleTimeout: time.Hour, OnNewSessionRegister: func(s *udp.Session) { s.SetIdleTimeout(time.Second) }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		start := time.Now()
		w.send(peerAddr, "a")
		require.Equal(t, pool.Timeout, <-e.closed)
		require.Less(t, time.Since(start), 2*time.Second)
	})
}

func TestPeer_IsOneHoweverItsAddressIsWritten(t *testing.T) {
	srv := &udp.Server{MaxSessionsPerIP: 1}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send("[::ffff:192.0.2.1]:5000", "mapped")
		w.send("192.0.2.1:5000", "plain")
		w.in <- packet{data: "text", addr: text("192.0.2.1:5000")}
		for _, want := range []string{"mapped", "plain", "text"} {
			require.Equal(t, want, <-e.messages)
		}
		require.Equal(t, netip.MustParseAddrPort("192.0.2.1:5000"), (<-e.opened).RemoteAddr())
		require.Equal(t, 1, srv.Stats().Sessions)
	})
}

// text is an address of a type that the server does not know.
type text string

func (text) Network() string { return "text" }

func (a text) String() string { return string(a) }

func TestMaxSessionsPerIP_LimitsAnAddressOrANetwork(t *testing.T) {
	srv := &udp.Server{MaxSessionsPerIP: 2, IdleTimeout: time.Minute}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		for _, from := range []string{
			"192.0.2.1:1", "192.0.2.1:2", "[2001:db8::1]:1", "[2001:db8::ffff:0:0:1]:1",
			"192.0.2.2:1", "[2001:db8:0:1::1]:1",
		} {
			w.send(from, "in")
		}
		for _, from := range []string{"192.0.2.1:3", "[::ffff:192.0.2.1]:4", "[2001:db8::2]:1", "[2001:db8::3%eth0]:1"} {
			w.send(from, "out")
		}
		w.send("192.0.2.1:1", "in") // a session that is in stays in
		synctest.Wait()
		require.Len(t, e.messages, 7)
		require.EqualValues(t, 4, srv.Stats().RefusedPerIP)
		require.ErrorIs(t, <-e.errors, udp.ErrTooManyFromIP)
		require.Empty(t, e.errors, "a flood is told of once a second")

		time.Sleep(2 * time.Minute)
		require.Zero(t, srv.Stats().Sessions)
		for _, from := range []string{"192.0.2.1:3", "192.0.2.1:4", "[2001:db8::2]:1", "[2001:db8::3]:1"} {
			w.send(from, "in")
		}
		synctest.Wait()
		require.EqualValues(t, 4, srv.Stats().Sessions)
	})
}

func TestOnError_GetsAFloodOnceASecondWithTheNumberOfTheRest(t *testing.T) {
	srv := &udp.Server{MaxSessions: 1}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "in")
		for range 100 {
			w.send("192.0.2.2:1", "out")
		}
		time.Sleep(2 * time.Second)
		w.send("192.0.2.2:1", "out")
		synctest.Wait()
		require.ErrorIs(t, <-e.errors, pool.ErrFull)
		err := <-e.errors
		require.ErrorIs(t, err, pool.ErrFull)
		require.ErrorContains(t, err, "99 more")
		require.Empty(t, e.errors)
		require.EqualValues(t, 101, srv.Stats().RefusedFull)
	})
}

func TestDatagram_ThatCannotBeAnsweredIsDropped(t *testing.T) {
	srv := &udp.Server{}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		for _, from := range []string{"192.0.2.1:0", "0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1", "224.0.0.1:1", "[ff02::1]:1", "255.255.255.255:1"} {
			w.send(from, from)
		}
		w.in <- packet{data: "from a pipe", addr: &net.UnixAddr{Name: "pipe"}}
		w.in <- packet{data: "from nowhere"}
		synctest.Wait()
		require.ErrorIs(t, <-e.errors, udp.ErrBadAddress)
		st := srv.Stats()
		require.EqualValues(t, 9, st.BadAddress)
		require.Zero(t, st.Registered)
	})
}

func TestSocket_ErrorsPass(t *testing.T) {
	srv := &udp.Server{}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "a")
		s := <-e.opened
		refused := error(&net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("sendto", syscall.ECONNREFUSED)})
		w.fail.Store(&refused)
		err := s.Send([]byte("lost"))
		require.ErrorIs(t, err, udp.ErrWrite)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		w.fail.Store(nil)
		require.NoError(t, s.Send([]byte("sent")))

		start := time.Now()
		for range 4 {
			w.in <- packet{err: refused}
			require.ErrorIs(t, <-e.errors, udp.ErrRead)
		}
		w.send(peerAddr, "b")
		require.GreaterOrEqual(t, time.Since(start), 30*time.Millisecond, "it backs off: 0, 5, 10, 20 ms")
		require.Equal(t, "a", <-e.messages)
		require.Equal(t, "b", <-e.messages)

		start = time.Now()
		w.in <- packet{err: refused}
		w.send(peerAddr, "c")
		synctest.Wait()
		require.Zero(t, time.Since(start), "a single error costs no time")
		require.Len(t, e.errors, 1)
		require.Empty(t, e.closed)
	})
}

// While its timer fires, the session is always busy.
func TestActivity_OfSendingIsNotThatOfAPeerThatSendsAllTheTime(t *testing.T) {
	const idle = 200 * time.Millisecond
	for name, pause := range map[string]time.Duration{"faster than they are handled": time.Millisecond / 2, "slower": 1500 * time.Microsecond} {
		t.Run(name, func(t *testing.T) {
			srv := &udp.Server{
				IdleTimeout: idle, Activity: udp.Sent,
				OnMessage: func(*udp.Session, []byte) { time.Sleep(time.Millisecond) },
				OnError:   func(*udp.Session, error) {},
			}
			bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
				stop := make(chan struct{})
				var sender sync.WaitGroup
				defer sender.Wait()
				defer close(stop)
				sender.Go(func() {
					for {
						select {
						case w.in <- packet{data: "x", addr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peerAddr))}:
							time.Sleep(pause)
						case <-stop:
							return
						}
					}
				})
				s := <-e.opened
				time.Sleep(100 * time.Millisecond)
				require.NoError(t, s.Send(nil))
				sent := time.Now()
				select {
				case r := <-e.closed:
					require.Equal(t, pool.Timeout, r)
				case <-time.After(10 * idle):
					require.FailNow(t, "the peer keeps the session open")
				}
				require.GreaterOrEqual(t, time.Since(sent), idle)
				require.Less(t, time.Since(sent), idle+50*time.Millisecond)
			})
		})
	}
}

func TestGoexit_InOnErrorOfTheSocketDoesNotEndServe(t *testing.T) {
	var log harness.LogBuffer
	srv := &udp.Server{
		OnMessage: echo, Logger: harness.Logger(&log, slog.LevelError),
		OnError: func(*udp.Session, error) { runtime.Goexit() },
	}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, _ serverEvents) {
		w.in <- packet{err: syscall.ENOBUFS}
		w.send(peerAddr, "hello")
		require.Equal(t, "hello", (<-w.out).data)
		require.Contains(t, log.String(), "Goexit")
	})
}
