package test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// slowBroker stands for a broker with a slow disk: while slow is set, everything it sends
// is delayed by 200 to 900 ms.
type slowBroker struct {
	l      net.Listener
	target string
	slow   atomic.Bool
	wg     sync.WaitGroup
}

func newSlowBroker(t *testing.T, url string) *slowBroker {
	t.Helper()
	l, err := net.Listen("tcp", loopback.Host()+":0")
	require.NoError(t, err)
	b := &slowBroker{l: l, target: strings.TrimPrefix(url, "nats://")}
	b.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.serve(in) })
		}
	})
	t.Cleanup(func() { // runs after the nodes have left, when their connections are closed
		_ = l.Close()
		b.wg.Wait()
	})
	return b
}

func (b *slowBroker) url() string { return "nats://" + b.l.Addr().String() }

type chunk struct {
	data []byte
	due  time.Time
}

func (b *slowBroker) serve(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", b.target)
	if err != nil {
		return
	}
	defer out.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		readChunks(in, func(data []byte) error {
			_, err := out.Write(data)
			return err
		})
		_ = out.Close()
	})
	late := make(chan chunk, 4096)
	wg.Go(func() {
		for c := range late {
			time.Sleep(time.Until(c.due))
			if _, err := in.Write(c.data); err != nil {
				_ = out.Close() // ends the goroutine that fills the channel
			}
		}
		_ = in.Close()
	})
	readChunks(out, func(data []byte) error {
		due := time.Now()
		if b.slow.Load() {
			due = due.Add(200*time.Millisecond + rand.N(700*time.Millisecond))
		}
		late <- chunk{data, due}
		return nil
	})
	close(late)
	wg.Wait()
}

// readChunks calls f with all data read from a connection, until either fails.
func readChunks(from net.Conn, f func([]byte) error) {
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if err != nil || f(buf[:n]) != nil {
			return
		}
	}
}

func TestTakeover_WithASlowBrokerNeverMakesTwoOwners(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	var sites []*site
	var links []*slowBroker
	for i := range 3 {
		p := newSlowBroker(t, b.URL())
		links = append(links, p)
		sites = append(sites, join(t, o, fmt.Sprint("n", i), cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence}))
	}
	sites[0].mustLogin("rests")
	for _, p := range links {
		p.slow.Store(true)
	}
	start := time.Now()
	f := newTraffic(t, sites...)
	eventually(t, "there have been logins for two leases", func() bool {
		return f.wins() > 10 && time.Since(start) > 2*lease
	})
	f.stop()
	t.Logf("%d logins in %v, the longest time without one %v", f.wins(), time.Since(start), f.longest)
	require.Zero(t, o.doubled())
	for _, p := range links {
		p.slow.Store(false)
	}
	eventually(t, "all have a lease", active(sites...))
	agree(t, sites[0], sites)
	require.Zero(t, o.doubled())
}
