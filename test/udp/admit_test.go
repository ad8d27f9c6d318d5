package udp_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestAdmit_DemandsAProofBeforeThereIsASession(t *testing.T) {
	asked := 0
	srv := &udp.Server{
		Admit: func(from netip.AddrPort, p []byte) ([]byte, bool) {
			asked++
			cookie := "cookie of " + from.String()
			return []byte(cookie), string(p) == cookie
		},
	}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "hello")
		reply := <-w.out
		require.Equal(t, "cookie of "+peerAddr, reply.data)
		require.Equal(t, peerAddr, reply.addr.String())
		synctest.Wait()
		require.Zero(t, srv.Stats().Registered)
		require.EqualValues(t, 1, srv.Stats().NotAdmitted)
		require.Empty(t, e.errors, "to refuse is no error")

		w.send(peerAddr, reply.data)
		require.Equal(t, reply.data, <-e.messages, "what is admitted is the session's first datagram")
		require.Equal(t, reply.data, (<-w.out).data, "a reply is sent in either case")
		w.send(peerAddr, "anything")
		require.Equal(t, "anything", <-e.messages)
		require.Equal(t, 2, asked, "only an address without a session is asked")

		(<-e.opened).Close("done")
		<-e.closed
		w.send(peerAddr, "anything")
		synctest.Wait()
		require.Equal(t, 3, asked, "nor is one whose session is closed")
		require.EqualValues(t, 2, srv.Stats().NotAdmitted)
	})
}

func TestAdmit_OfNoReplyOrAnEmptyOne(t *testing.T) {
	srv := &udp.Server{Admit: func(_ netip.AddrPort, p []byte) ([]byte, bool) {
		if string(p) == "silent" {
			return nil, false
		}
		return p[:0], false
	}}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "silent")
		w.send(peerAddr, "x")
		synctest.Wait()
		require.Len(t, w.out, 1)
		require.Empty(t, (<-w.out).data)
	})
}

func TestAdmit_DoesNotLiftTheLimits(t *testing.T) {
	srv := &udp.Server{MaxSessionsPerIP: 1, Admit: func(netip.AddrPort, []byte) ([]byte, bool) { return nil, true }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send("192.0.2.1:1", "in")
		w.send("192.0.2.1:2", "out")
		synctest.Wait()
		require.ErrorIs(t, <-e.errors, udp.ErrTooManyFromIP)
		require.EqualValues(t, 1, srv.Stats().RefusedPerIP)
	})
}

func TestAdmit_ThatCrashesEndsNothing(t *testing.T) {
	for name, crash := range map[string]func(){"panic": func() { panic(errors.ErrUnsupported) }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			srv := &udp.Server{OnMessage: echo, Admit: func(_ netip.AddrPort, p []byte) ([]byte, bool) {
				if string(p) == "crash" {
					crash()
				}
				return nil, true
			}}
			bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
				for range 3 {
					w.send("192.0.2.2:2", "crash")
				}
				w.send(peerAddr, "hello")
				require.Equal(t, "hello", (<-w.out).data)
				err := <-e.errors
				if name == "panic" {
					var p *udp.PanicError
					require.ErrorAs(t, err, &p)
					require.ErrorIs(t, err, errors.ErrUnsupported)
				} else {
					require.ErrorIs(t, err, udp.ErrGoexit)
				}
				require.Empty(t, e.errors, "a flood is told of once a second")
				require.EqualValues(t, 3, srv.Stats().NotAdmitted)
				require.EqualValues(t, 1, srv.Stats().Registered)
			})
		})
	}
}

func TestAdmit_WhoseReplyCannotBeSentIsReportedOnceASecond(t *testing.T) {
	srv := &udp.Server{Admit: func(netip.AddrPort, []byte) ([]byte, bool) { return []byte("cookie"), false }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		unreachable := error(&net.OpError{Op: "write", Net: "udp", Err: syscall.ENETUNREACH})
		w.fail.Store(&unreachable)
		for range 100 {
			w.send(peerAddr, "hello")
		}
		time.Sleep(2 * time.Second)
		w.send(peerAddr, "hello")
		synctest.Wait()
		require.ErrorIs(t, <-e.errors, udp.ErrWrite)
		err := <-e.errors
		require.ErrorIs(t, err, syscall.ENETUNREACH)
		require.ErrorContains(t, err, "99 more")
		require.Empty(t, e.errors)
	})
}

// forgedFlood is a socket to which each of many addresses sends one datagram. It has
// the methods of *net.UDPConn that do not allocate.
type forgedFlood struct {
	*fakeSocket
	left, replies atomic.Int64
	handled       chan struct{} // closed when the server reads again after the last one
}

func (f *forgedFlood) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	n := f.left.Add(-1)
	if n >= 0 {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], 10<<24|uint32(n))
		return copy(p, "hello"), netip.AddrPortFrom(netip.AddrFrom4(ip), 5000), nil
	}
	if n == -1 {
		close(f.handled)
	}
	n2, addr, err := f.ReadFrom(p)
	if err != nil {
		return n2, netip.AddrPort{}, err
	}
	return n2, addr.(*net.UDPAddr).AddrPort(), nil
}

func (f *forgedFlood) WriteToUDPAddrPort(p []byte, _ netip.AddrPort) (int, error) {
	f.replies.Add(1)
	return len(p), nil
}

func TestFlood_OfForgedAddressesThatAdmitRefusesTakesNoSessionAndNoMemory(t *testing.T) {
	const addresses = 100_000
	cookie := make([]byte, 8)
	srv := &udp.Server{Admit: func(netip.AddrPort, []byte) ([]byte, bool) { return cookie, false }}
	f := &forgedFlood{fakeSocket: newFakeSocket(), handled: make(chan struct{})}
	f.left.Store(addresses)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	serveUDP(t, srv, f)
	harness.Next(t, f.handled)
	runtime.ReadMemStats(&after)
	st := srv.Stats()
	require.EqualValues(t, addresses, st.NotAdmitted)
	require.EqualValues(t, addresses, f.replies.Load())
	require.Zero(t, st.Registered)
	require.Zero(t, st.RefusedFull)
	// Serving itself begins with some thousand objects.
	require.Less(t, after.Mallocs-before.Mallocs, uint64(addresses/10))
	t.Logf("%d objects and %d bytes for %d datagrams", after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc, addresses)
}
