package udp_test

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// Peers send when their sessions are about to expire, so that each datagram either
// keeps its session or starts another. None may be lost or handled twice.
func TestDatagram_InTheMomentOfExpiryIsHandledOnce(t *testing.T) {
	t.Parallel() // it waits for sessions that expire
	const peers, rounds, idle = 40, 40, 20 * time.Millisecond
	for _, activity := range []udp.Activity{udp.ReceivedOrSent, udp.Received} {
		t.Run(fmt.Sprint("activity=", activity), func(t *testing.T) {
			srv := &udp.Server{IdleTimeout: idle, Activity: activity, OnMessage: echo}
			to := listenUDP(t, srv)
			var wg sync.WaitGroup
			for i := range peers {
				c := dialUDP(t, to)
				require.NoError(t, c.SetReadDeadline(time.Now().Add(harness.Patience)))
				wg.Go(func() {
					p := make([]byte, 100)
					for j := range rounds {
						time.Sleep(idle + time.Duration((i*rounds+j)%23-5)*time.Millisecond/2)
						want := fmt.Sprint(i, j)
						if _, err := c.Write([]byte(want)); err != nil {
							t.Error(err)
							return
						}
						n, err := c.Read(p)
						if err != nil || string(p[:n]) != want {
							t.Errorf("sent %q, got %q, %v", want, p[:n], err)
							return
						}
					}
				})
			}
			wg.Wait()
			st := srv.Stats()
			require.EqualValues(t, peers*rounds, st.Handled)
			require.Zero(t, st.Late)
			require.Greater(t, st.ByReason[pool.Timeout], uint64(peers), "some have expired")
			t.Logf("%d sessions for %d datagrams", st.Registered, st.Handled)
		})
	}
}

func TestDatagram_AndItsReplyAllocateNothing(t *testing.T) {
	if harness.RaceDetector {
		t.Skip("under the race detector a sync.Pool drops things")
	}
	for _, size := range []int{0, 100, 1400, 60_000} {
		srv := &udp.Server{OnMessage: echo}
		c := dialUDP(t, listenUDP(t, srv))
		p, reply := make([]byte, size), make([]byte, size+1)
		require.Zero(t, testing.AllocsPerRun(2000, func() {
			if _, err := c.Write(p); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Read(reply); err != nil || n != size {
				t.Fatal(n, err)
			}
		}), "%d bytes", size)
	}
}

// Sessions are closed while datagrams arrive for them. Whichever comes first, each
// datagram is counted, and each session has its two callbacks.
func TestClose_BesideDatagramsKeepsTheCounts(t *testing.T) {
	const datagrams = 10_000
	var opened, closed, handled atomic.Uint64
	srv := &udp.Server{
		OnNewSessionRegister: func(*udp.Session) { opened.Add(1) },
		OnMessage:            func(*udp.Session, []byte) { handled.Add(1) },
		OnSessionClosed:      func(*udp.Session, pool.Reason) { closed.Add(1) },
	}
	to := listenUDP(t, srv)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop, and is waited for below
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for s := range srv.Sessions() {
				s.Close("at random")
			}
		}
	}()
	peers := make([]net.Conn, 5)
	for i := range peers {
		peers[i] = dialUDP(t, to)
	}
	for i := range datagrams {
		write(t, peers[i%len(peers)], "a")
		if i%100 == 99 { // no more are under way than the socket's buffer holds
			harness.Until(t, func() bool { return srv.Stats().Received == uint64(i+1) })
		}
	}
	close(stop)
	harness.Next(t, stopped)
	require.NoError(t, srv.Shutdown(t.Context()))
	st := srv.Stats()
	requireBalance(t, st)
	require.EqualValues(t, datagrams, st.Received)
	require.Equal(t, handled.Load(), st.Handled)
	require.Equal(t, opened.Load(), st.Registered)
	require.Equal(t, closed.Load(), st.Registered)
	require.Greater(t, st.ByReason["at random"], uint64(10))
	t.Logf("%d sessions, %d handled, %d late", st.Registered, st.Handled, st.Late)
}
