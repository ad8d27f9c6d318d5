package udp_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

func TestServe_NamesAWrongField(t *testing.T) {
	for field, srv := range map[string]*udp.Server{
		"MaxDatagram":     {MaxDatagram: -1},
		"MaxPendingBytes": {MaxPendingBytes: -1},
		"Activity":        {Activity: udp.Sent + 1},
	} {
		require.ErrorContains(t, srv.Serve(newFakeSocket()), "Server."+field)
	}
	require.ErrorContains(t, (&udp.Server{MaxDatagram: 65_536}).Serve(newFakeSocket()), "at most 65535")
	require.ErrorContains(t, (&udp.Server{MaxPendingBytes: 65_535}).Serve(newFakeSocket()), "at least 65536")
	require.ErrorContains(t, (&udp.Server{}).ListenAndServe(), "Server.Addr")
	require.ErrorContains(t, (&udp.Server{Addr: "127.0.0.1:nowhere"}).ListenAndServe(), "Server.Addr")
	w := newFakeSocket()
	require.Error(t, (&udp.Server{MaxDatagram: -1}).Serve(w))
	<-w.closed // which Serve has closed
}

func TestServe_NegativeIsNoLimit(t *testing.T) {
	srv := &udp.Server{
		IdleTimeout: -1, MaxLifetime: -1, MaxSessions: -1, MaxSessionsPerIP: -1, MaxPending: -1, MaxCallbacks: -1,
	}
	e := watch(srv)
	to := listenUDP(t, srv)
	const peers = 3
	for range peers {
		write(t, dialUDP(t, to), "hello")
		harness.Next(t, e.messages)
	}
	require.Equal(t, peers, srv.Stats().Sessions)
	require.Empty(t, e.errors)
	require.Empty(t, e.closed)
}

// blockingServer returns a server whose OnMessage reports that it has begun, waits
// for letGo if the datagram is "block", and echoes.
func blockingServer() (srv *udp.Server, began chan string, letGo func()) {
	began = make(chan string, 1000)
	gate := make(chan struct{})
	srv = &udp.Server{OnMessage: func(s *udp.Session, p []byte) {
		if strings.HasPrefix(string(p), "block") {
			began <- string(p)
			<-gate
		}
		echo(s, p)
	}}
	return srv, began, sync.OnceFunc(func() { close(gate) })
}

func TestCallbacks_ThatBlockDelayNoOtherPeer(t *testing.T) {
	srv, began, letGo := blockingServer()
	to := listenUDP(t, srv)
	defer letGo()
	slow := make([]net.Conn, 100)
	for i := range slow {
		slow[i] = dialUDP(t, to)
		write(t, slow[i], "block")
		harness.Next(t, began)
	}
	for range 20 {
		require.Equal(t, "a", ask(t, dialUDP(t, to), "a"))
	}
	letGo()
	for _, c := range slow {
		require.Equal(t, "block", read(t, c))
	}
}

func TestMaxPending_DropsWhatIsBeyondItAndKeepsTheOldest(t *testing.T) {
	const pending, sent = 100, 140 // more than one turn handles
	srv, began, letGo := blockingServer()
	srv.MaxPending = pending
	srv.MaxDatagram, srv.MaxPendingBytes = 512, (pending+20)*512 // dropped datagrams take none of it
	e := watch(srv)
	to := listenUDP(t, srv)
	defer letGo()
	c := dialUDP(t, to)
	write(t, c, "block")
	harness.Next(t, began)
	for i := range sent {
		write(t, c, fmt.Sprint(i))
	}
	harness.Until(t, func() bool { return srv.Stats().PendingFull == sent-pending })
	require.ErrorIs(t, harness.Next(t, e.errors), udp.ErrPendingFull)
	require.Equal(t, "other", ask(t, dialUDP(t, to), "other"), "it is this session's queue that is full")
	letGo()
	require.Equal(t, "block", read(t, c))
	for i := range pending {
		require.Equal(t, fmt.Sprint(i), read(t, c))
	}
	require.Equal(t, "now", ask(t, c, "now"))
}

func TestMaxPendingBytes_BoundsThePendingDatagramsOfAll(t *testing.T) {
	srv, began, letGo := blockingServer()
	srv.MaxDatagram = 2048
	srv.MaxPendingBytes = 5 * 2048
	to := listenUDP(t, srv)
	defer letGo()
	big := strings.Repeat("x", 2048)
	peers := make([]net.Conn, 3)
	for i := range peers {
		peers[i] = dialUDP(t, to)
		write(t, peers[i], "block")
		harness.Next(t, began)
	}
	for range 4 {
		for _, c := range peers {
			write(t, c, big)
		}
	}
	write(t, dialUDP(t, to), "a stranger gets no session then")
	harness.Until(t, func() bool {
		st := srv.Stats()
		return st.Received == 3+12+1 && st.PendingFull == 12-5+1
	})
	require.EqualValues(t, 3, srv.Stats().Registered)
	letGo()
	harness.Until(t, func() bool { return srv.Stats().Handled == 3+5 })
	for _, c := range peers { // the memory is free again
		write(t, c, "again")
		for read(t, c) != "again" {
		}
	}
	require.EqualValues(t, 8, srv.Stats().PendingFull)
}

func TestMaxCallbacks_OfAServerIsTheMostThatRunAtOnce(t *testing.T) {
	const most, peers = 3, 60
	var inside, peak atomic.Int32
	call := func() {
		n := inside.Add(1)
		for {
			p := peak.Load()
			if n <= p || peak.CompareAndSwap(p, n) {
				break
			}
		}
		time.Sleep(time.Millisecond)
		inside.Add(-1)
	}
	srv := &udp.Server{
		MaxCallbacks:         most,
		OnNewSessionRegister: func(*udp.Session) { call() },
		OnMessage:            func(s *udp.Session, p []byte) { call(); echo(s, p) },
		OnSessionClosed:      func(*udp.Session, pool.Reason) { call() },
	}
	to := listenUDP(t, srv)
	conns := make([]net.Conn, peers)
	for i := range conns {
		conns[i] = dialUDP(t, to)
		write(t, conns[i], "a")
	}
	for _, c := range conns {
		require.Equal(t, "a", read(t, c))
	}
	for s := range srv.Sessions() {
		s.Close("all at once")
	}
	harness.Until(t, func() bool { return srv.Stats().ByReason["all at once"] == peers })
	require.EqualValues(t, most, peak.Load())
}

func TestFlood_OfAddressesEndsNoSessionThatLives(t *testing.T) {
	const live, limit, flood = 20, 100, 3000
	srv := &udp.Server{MaxSessions: limit, IdleTimeout: time.Minute, OnMessage: echo}
	e := watch(srv)
	to := listenUDP(t, srv)
	peers := make([]net.Conn, live)
	for i := range peers {
		peers[i] = dialUDP(t, to)
		require.Equal(t, "in", ask(t, peers[i], "in"))
	}
	var sent uint64 = live
	for i := range flood {
		c, err := net.Dial("udp", to.String())
		require.NoError(t, err)
		write(t, c, "flood")
		sent++
		if i%50 == 0 { // so that the socket's buffer loses nothing
			k := (i / 50) % live
			require.Equal(t, "alive", ask(t, peers[k], "alive"))
			sent++
		}
		require.NoError(t, c.Close())
	}
	harness.Until(t, func() bool { return srv.Stats().Received == sent })
	st := srv.Stats()
	require.Equal(t, limit, st.Sessions)
	require.EqualValues(t, limit, st.Registered)
	require.Zero(t, st.Closed)
	// Two peers of the flood may get the same port, one after the other. The second
	// then belongs to the session of the first.
	require.InDelta(t, flood-(limit-live), st.RefusedFull, limit)
	require.ErrorIs(t, harness.Next(t, e.errors), pool.ErrFull)
	for _, c := range peers {
		require.Equal(t, "still", ask(t, c, "still"))
	}

	// A place is free again when a session has ended.
	late := dialUDP(t, to)
	write(t, late, "out")
	harness.Until(t, func() bool { return srv.Stats().Received == sent+1+live })
	_, ok := srv.Session(localAddr(late))
	require.False(t, ok)
	s, ok := srv.Session(localAddr(peers[0]))
	require.True(t, ok)
	require.True(t, s.Close("make room"))
	require.Equal(t, pool.Reason("make room"), harness.Next(t, e.closed))
	harness.Until(t, func() bool { // its place is free just after its callback has returned
		write(t, late, "in")
		return slices.ContainsFunc(slices.Collect(srv.Sessions()), func(s *udp.Session) bool { return s.ID() == localAddr(late) })
	})
}

func TestMaxSessions_CountsASessionUntilItsLastCallbackHasReturned(t *testing.T) {
	var begun atomic.Int32
	gate := make(chan struct{})
	srv := &udp.Server{
		MaxSessions:     1,
		OnMessage:       func(s *udp.Session, _ []byte) { s.Close("done") },
		OnSessionClosed: func(*udp.Session, pool.Reason) { begun.Add(1); <-gate },
	}
	to := listenUDP(t, srv)
	write(t, dialUDP(t, to), "a")
	harness.Until(t, func() bool { return begun.Load() == 1 })
	require.Zero(t, srv.Stats().Sessions)
	c := dialUDP(t, to)
	write(t, c, "b")
	harness.Until(t, func() bool { return srv.Stats().RefusedFull == 1 })
	close(gate)
	harness.Until(t, func() bool { write(t, c, "b"); return begun.Load() > 1 })
}

func TestMaxPending_NegativeIsNoLimit(t *testing.T) {
	const many = 200 // more than the default lets wait
	srv, began, letGo := blockingServer()
	srv.MaxPending, srv.MaxCallbacks, srv.MaxSessionsPerIP, srv.MaxSessions = -1, -1, -1, -1
	to := listenUDP(t, srv)
	defer letGo()
	c := dialUDP(t, to)
	write(t, c, "block")
	harness.Next(t, began)
	for i := range many {
		write(t, c, "pending")
		harness.Until(t, func() bool { return srv.Stats().Received == uint64(i+2) })
	}
	require.Zero(t, srv.Stats().PendingFull)
}
