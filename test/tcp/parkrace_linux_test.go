package tcp_test

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

var (
	parkMessages = flag.Int("park-messages", 20_000, "messages at random moments around parking")
	parkConns    = flag.Int("park-conns", 2_000, "connections in the race for descriptors")
)

// TestPark_EveryMessageIsAnswered sends messages at random moments around those at which the
// sessions are parked: at once, when they have handled what was there, and after a second or
// two without input.
func TestPark_EveryMessageIsAnswered(t *testing.T) {
	const workers = 100
	for name, listen := range parkable(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly sleeps
			srv := &tcp.Server{OnMessage: harness.EchoLine}
			dial := listen(t, srv)
			total := *parkMessages / 10
			if name == "plain" {
				total = *parkMessages
			}
			var left atomic.Int64
			left.Store(int64(total))
			var all sync.WaitGroup
			for i := range workers {
				c := dial()
				all.Go(func() {
					random := rand.New(rand.NewPCG(uint64(i), 0))
					buf := make([]byte, 32)
					for n := left.Add(-1); n >= 0; n = left.Add(-1) {
						switch random.IntN(400) {
						case 0: // the check is every second
							time.Sleep(time.Second + time.Duration(random.IntN(1_050_000))*time.Microsecond)
						default:
							time.Sleep(time.Duration(random.IntN(300)) * time.Microsecond)
						}
						p := fmt.Appendf(nil, "%d\n", n)
						if random.IntN(4) == 0 { // in two parts
							_, _ = c.Write(p[:1])
							time.Sleep(time.Duration(random.IntN(100)) * time.Microsecond)
							_, _ = c.Write(p[1:])
						} else if _, err := c.Write(p); err != nil {
							t.Error(err)
							return
						}
						_ = c.SetReadDeadline(time.Now().Add(harness.Patience))
						if _, err := io.ReadFull(c, buf[:len(p)]); err != nil || string(buf[:len(p)]) != string(p) {
							t.Errorf("message %d: %q, %v", n, buf[:len(p)], err)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// TestPark_ADescriptorIsNeverSomebodyElses races closes by either side, wakes and new
// connections, which get the descriptors of those that were closed. Each peer gets what is its
// own, and every session ends.
func TestPark_ADescriptorIsNeverSomebodyElses(t *testing.T) {
	var ended atomic.Int64
	srv := &tcp.Server{
		MaxSessions:     -1,
		OnMessage:       func(s *tcp.Session, p []byte) { _ = s.Post(append(p, '\n')) },
		OnSessionClosed: func(*tcp.Session, pool.Reason) { ended.Add(1) },
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	harness.ServeTCP(t, srv, l)
	const workers = 50
	var next atomic.Int64
	var all sync.WaitGroup
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() { // closes sessions that may just be parked or woken
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			for s := range srv.Sessions() {
				if s.ID()%7 == 0 {
					s.Close("Kicked")
				}
			}
		}
	})
	for i := range workers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for n := next.Add(1); n <= int64(*parkConns); n = next.Add(1) {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				want := fmt.Sprintf("%d of %d\n", i, n)
				for range random.IntN(4) {
					time.Sleep(time.Duration(random.IntN(200)) * time.Microsecond)
					if _, err := io.WriteString(c, want); err != nil {
						break // it was kicked
					}
					got := make([]byte, len(want))
					_ = c.SetReadDeadline(time.Now().Add(harness.Patience))
					switch _, err := io.ReadFull(c, got); {
					case isTimeout(err):
						t.Errorf("connection %d has no answer", n)
					case err == nil && string(got) != want:
						t.Errorf("connection %d got %q", n, got)
					}
				}
				if random.IntN(3) == 0 {
					_ = c.(*net.TCPConn).SetLinger(0)
				}
				_ = c.Close()
			}
		})
	}
	all.Wait()
	close(stop)
	killer.Wait()
	harness.Until(t, func() bool { return ended.Load() == int64(*parkConns) && srv.Stats().Parked == 0 })
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // of a connection's Read
	return ok && e.Timeout()
}

// The poller gets no processor for a while. What has come meanwhile is answered.
func TestPark_AStarvedPollerWakesAllInTheEnd(t *testing.T) {
	const n = 200
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	dial := harness.ListenTCP(t, srv)
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dial()
	}
	awaitParked(t, srv, n)
	var busy sync.WaitGroup
	var stop atomic.Bool
	for range 4 * runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for !stop.Load() { // nothing but the scheduler interrupts it
			}
		})
	}
	for _, c := range conns {
		harness.Write(t, c, "x\n")
	}
	time.Sleep(300 * time.Millisecond)
	stop.Store(true)
	busy.Wait()
	for _, c := range conns {
		harness.Read(t, c, "x\n")
	}
}
