package udp_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

const newAddr = "198.51.100.7:7000"

func TestRebind_MovesASessionAndFreesItsOldAddressAtOnce(t *testing.T) {
	srv := &udp.Server{MaxSessionsPerIP: 1, OnMessage: echo}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		requireEcho := func(from, data string) {
			t.Helper()
			w.send(from, data)
			reply := <-w.out
			require.Equal(t, data, reply.data)
			require.Equal(t, from, reply.addr.String())
		}
		requireEcho(peerAddr, "hello")
		s := <-e.opened
		require.NoError(t, s.Rebind(netip.MustParseAddrPort("[::ffff:198.51.100.7]:7000")))
		require.NoError(t, s.Rebind(netip.MustParseAddrPort(newAddr)), "it is there already")
		require.Equal(t, newAddr, s.RemoteAddr().String())
		require.Equal(t, newAddr, s.ID().String())
		requireEcho(newAddr, "the same session")
		require.Empty(t, e.opened)
		require.NoError(t, s.Send([]byte("unasked")))
		require.Equal(t, newAddr, (<-w.out).addr.String())
		found, ok := srv.Session(netip.MustParseAddrPort(newAddr))
		require.True(t, ok)
		require.Same(t, s, found)
		_, ok = srv.Session(netip.MustParseAddrPort(peerAddr))
		require.False(t, ok)

		requireEcho(peerAddr, "another session")
		require.NotSame(t, s, <-e.opened)
		w.send("198.51.100.7:7001", "the one session of this address has moved there")
		synctest.Wait()
		require.ErrorIs(t, <-e.errors, udp.ErrTooManyFromIP)

		require.True(t, s.Close("done"))
		require.Equal(t, pool.Reason("done"), <-e.closed)
		closed := srv.RecentlyClosed()
		require.Len(t, closed, 1)
		require.Equal(t, newAddr, closed[0].ID.String())
		require.Equal(t, newAddr, closed[0].Address)
		requireEcho(newAddr, "another session")
		require.NotSame(t, s, <-e.opened)
	})
}

func TestRebind_InAdmitGivesTheDatagramToTheSession(t *testing.T) {
	var session atomic.Pointer[udp.Session]
	srv := &udp.Server{
		OnNewSessionRegister: func(s *udp.Session) { session.Store(s) },
		Admit: func(from netip.AddrPort, p []byte) ([]byte, bool) {
			if strings.HasPrefix(string(p), "named") {
				return nil, session.Load().Rebind(from) == nil
			}
			return nil, true
		},
	}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "hello")
		require.Equal(t, "hello", <-e.messages)
		for i := range 3 {
			w.send(fmt.Sprintf("198.51.100.%d:7000", i), "named")
			require.Equal(t, "named", <-e.messages)
		}
		require.Equal(t, "198.51.100.2:7000", session.Load().RemoteAddr().String())
		require.EqualValues(t, 1, srv.Stats().Registered)
	})
}

// The newcomer's first datagram names the session. What came behind it, and what the
// session itself has pending, is handled in the order of arrival.
func TestRebind_TakesTheAddressAndThePendingDatagramsOfANewcomer(t *testing.T) {
	var session atomic.Pointer[udp.Session]
	var calls []string // of the old session's callbacks, which are serial
	srv := &udp.Server{MaxSessionsPerIP: 1, MaxPending: 4, IdleTimeout: time.Minute}
	srv.OnNewSessionRegister = func(s *udp.Session) { session.CompareAndSwap(nil, s) }
	srv.OnMessage = func(s *udp.Session, p []byte) {
		old := session.Load()
		if s == old {
			calls = append(calls, string(p))
			time.Sleep(10 * time.Second)
			return
		}
		time.Sleep(time.Second) // so that others are pending
		require.NoError(t, old.Rebind(s.RemoteAddr()))
		require.Equal(t, pool.Replaced, s.Reason())
	}
	srv.Farewell = func(*udp.Session, pool.Reason) []byte { return []byte("bye") }
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		w.send(peerAddr, "0")
		w.send(peerAddr, "1")
		w.send(newAddr, "named")
		synctest.Wait() // so that it is handled, and not pending with the others
		for i := range 4 {
			w.send(newAddr, fmt.Sprint(i+2))
		}
		require.Equal(t, pool.Replaced, <-e.closed)
		w.send(newAddr, "when all is full")
		time.Sleep(100 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"0", "1", "2", "3", "4"}, calls)
		require.Empty(t, w.out, "a farewell would go to the session's peer")
		require.EqualValues(t, 2, srv.Stats().PendingFull)
		require.Len(t, e.errors, 1, "what Rebind drops is only counted")
		require.Equal(t, newAddr, session.Load().RemoteAddr().String())

		w.send(newAddr, "5")
		w.send(peerAddr, "the old address is free")
		synctest.Wait()
		require.EqualValues(t, 3, srv.Stats().Registered)
	})
}

func TestRebind_WakesASessionForTheDatagramsThatItTakesOver(t *testing.T) {
	var session atomic.Pointer[udp.Session]
	began, gate := make(chan struct{}), make(chan struct{})
	srv := &udp.Server{OnNewSessionRegister: func(s *udp.Session) { session.CompareAndSwap(nil, s) }}
	srv.OnMessage = func(s *udp.Session, p []byte) {
		if string(p) == "block" {
			close(began)
			<-gate
			return
		}
		_ = s.Send(p)
	}
	to := listenUDP(t, srv)
	old, newcomer := dialUDP(t, to), dialUDP(t, to)
	require.Equal(t, "a", ask(t, old, "a"))
	write(t, newcomer, "block")
	harness.Next(t, began)
	write(t, newcomer, "pending")
	harness.Until(t, func() bool { return srv.Stats().Received == 3 })
	require.NoError(t, session.Load().Rebind(localAddr(newcomer)))
	require.Equal(t, "pending", read(t, newcomer), "while the newcomer's callback blocks")
	close(gate)
	harness.Until(t, func() bool { return srv.Stats().ByReason[pool.Replaced] == 1 })
}

func TestRebind_ThatFailsChangesNothing(t *testing.T) {
	srv := &udp.Server{MaxSessionsPerIP: 1}
	synctest.Test(t, func(t *testing.T) {
		e := watch(srv)
		w := newFakeSocket()
		w.local = net.UDPAddr{IP: net.IPv4(192, 0, 2, 99), Port: 9000}
		serveUDP(t, srv, w)
		w.send(peerAddr, "hello")
		s := <-e.opened
		w.send(newAddr, "hello")
		other := <-e.opened
		synctest.Wait()
		for addr, want := range map[string]error{
			"198.51.100.7:1":  udp.ErrTooManyFromIP,
			"192.0.2.99:9000": udp.ErrOwnAddress,
			"198.51.100.8:0":  udp.ErrBadAddress,
			"224.0.0.1:1":     udp.ErrBadAddress,
		} {
			require.ErrorIs(t, s.Rebind(netip.MustParseAddrPort(addr)), want)
			require.ErrorIs(t, s.Rebind(netip.AddrPort{}), udp.ErrBadAddress)
			require.Equal(t, peerAddr, s.RemoteAddr().String())
		}
		require.NoError(t, s.Rebind(netip.MustParseAddrPort("192.0.2.1:5001")), "its own network has room for it")
		require.True(t, other.Close("done"))
		require.ErrorIs(t, other.Rebind(netip.MustParseAddrPort("198.51.100.9:1")), udp.ErrSessionClosed)
		synctest.Wait()
		require.NoError(t, s.Rebind(netip.MustParseAddrPort("198.51.100.7:1")), "and now this one too")
		w.send(peerAddr, "and the old one")
		require.NotNil(t, <-e.opened)
		require.Equal(t, pool.Reason("done"), <-e.closed)
		require.Empty(t, e.closed)
	})
}

func TestRebind_IsActivityIfReceivingIs(t *testing.T) {
	for _, activity := range []udp.Activity{udp.Received, udp.Sent} {
		srv := &udp.Server{IdleTimeout: 10 * time.Second, Activity: activity}
		bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
			start := time.Now()
			w.send(peerAddr, "hello")
			s := <-e.opened
			time.Sleep(6 * time.Second)
			require.NoError(t, s.Rebind(netip.MustParseAddrPort(newAddr)))
			require.Equal(t, pool.Timeout, <-e.closed)
			want := 16 * time.Second
			if activity == udp.Sent {
				want = 10 * time.Second
			}
			require.InDelta(t, want, time.Since(start), float64(50*time.Millisecond))
		})
	}
}

// Sessions move between a few addresses of a few networks, and take them from each
// other, while datagrams arrive, sessions expire and are closed, and at last the
// server shuts down. Everything is counted, and no address or place stays taken.
func TestRebind_BesideEverythingElseKeepsTheCounts(t *testing.T) {
	const networks, ports, perIP, datagrams = 3, 4, 3, 20_000
	addr := func(r *rand.Rand) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(networks))}), uint16(1+r.IntN(ports)))
	}
	var opened, closed, handled, moves atomic.Uint64
	srv := &udp.Server{
		MaxSessionsPerIP:     perIP,
		IdleTimeout:          20 * time.Millisecond,
		OnNewSessionRegister: func(*udp.Session) { opened.Add(1) },
		OnMessage:            func(*udp.Session, []byte) { handled.Add(1) },
		OnSessionClosed:      func(*udp.Session, pool.Reason) { closed.Add(1) },
	}
	w := newFakeSocket()
	serveUDP(t, srv, w)
	stop := make(chan struct{})
	var movers sync.WaitGroup
	for i := range 3 {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		movers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for s := range srv.Sessions() {
					switch n := r.IntN(100); {
					case n == 0:
						s.Close("at random")
					case n < 50:
						if s.Rebind(addr(r)) == nil {
							moves.Add(1)
						}
					}
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(2, 2))
	for range datagrams {
		w.in <- packet{data: "x", addr: net.UDPAddrFromAddrPort(addr(r))}
		if r.IntN(200) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	harness.Until(t, func() bool { return srv.Stats().Received == datagrams })
	close(stop)
	movers.Wait()
	harness.Until(t, func() bool { return srv.Stats().Sessions == 0 && closed.Load() == opened.Load() })
	for n := range networks {
		for port := range ports {
			_, ok := srv.Session(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), uint16(1+port)))
			require.False(t, ok)
		}
	}
	// Each network has room for perIP sessions again, and for no more.
	before := srv.Stats()
	srv.SetIdleTimeout(-1)
	for n := range networks {
		for port := range ports {
			w.send(fmt.Sprintf("192.0.2.%d:%d", n, port+1), "x")
		}
	}
	harness.Until(t, func() bool {
		after := srv.Stats()
		return after.Registered+after.RefusedPerIP == before.Registered+before.RefusedPerIP+networks*ports
	})
	require.EqualValues(t, networks*perIP, srv.Stats().Registered-before.Registered)

	require.NoError(t, srv.Shutdown(t.Context()))
	st := srv.Stats()
	requireBalance(t, st)
	require.Equal(t, handled.Load(), st.Handled)
	require.Equal(t, opened.Load(), st.Registered)
	require.Equal(t, closed.Load(), st.Registered)
	require.Greater(t, st.ByReason[pool.Replaced], uint64(10))
	require.Greater(t, moves.Load(), uint64(1000))
	t.Logf("%d sessions, %d moves, %d handled, %d late, ended %v", st.Registered, moves.Load(), st.Handled, st.Late, st.ByReason)
}
