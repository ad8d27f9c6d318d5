package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// trio is three brokers in this process that replicate.
type trio struct {
	t      *testing.T
	dir    string
	host   string
	ports  []int // for clients, then for routes
	routes []string
	srv    [3]*server.Server
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	r := &trio{t: t, dir: t.TempDir(), host: loopback.Host()}
	for range 6 {
		l, err := net.Listen("tcp", r.host+":0")
		require.NoError(t, err)
		defer l.Close()
		r.ports = append(r.ports, l.Addr().(*net.TCPAddr).Port)
	}
	for _, port := range r.ports[3:] {
		r.routes = append(r.routes, fmt.Sprintf("nats://%s:%d", r.host, port))
	}
	return r
}

// startTrio starts three brokers that are stopped at the end of the test.
func startTrio(t *testing.T) *trio {
	t.Helper()
	r := newTrio(t)
	for i := range r.srv {
		r.start(i)
	}
	t.Cleanup(func() {
		for i := range r.srv {
			r.stop(i)
		}
	})
	return r
}

func (r *trio) start(i int) {
	r.t.Helper()
	srv, err := server.NewServer(r.arg(i).Options())
	require.NoError(r.t, err)
	srv.Start()
	require.True(r.t, srv.ReadyForConnections(patience))
	r.srv[i] = srv
}

func (r *trio) stop(i int) {
	r.srv[i].Shutdown()
	r.srv[i].WaitForShutdown()
}

func (r *trio) url() string {
	var urls []string
	for _, port := range r.ports[:3] {
		urls = append(urls, fmt.Sprintf("nats://%s:%d", r.host, port))
	}
	return strings.Join(urls, ",")
}

// leader returns the broker that leads the directory's stream.
func (r *trio) leader() int {
	r.t.Helper()
	found := -1
	eventually(r.t, "the directory has a leader", func() bool {
		for i, srv := range r.srv {
			if srv.JetStreamIsStreamLeader("$G", "KV_sessions_dir") {
				found = i
			}
		}
		return found >= 0
	})
	return found
}

// The brokers are restarted one after the other, the leader first, while nodes contend for
// a few IDs. Then two are down at the same time, so that there is no quorum.
func TestReplicas_SurviveRestartsOneByOne(t *testing.T) {
	t.Parallel()
	r, o := startTrio(t), newObserver()
	c := cluster.Config{URL: r.url(), Replicas: 3}
	sites := []*site{join(t, o, "n0", c), join(t, o, "n1", c), join(t, o, "n2", c)}

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, longest, last := 0, time.Duration(0), time.Now()
	for g := range 4 {
		rnd := rand.New(rand.NewPCG(2, uint64(g)))
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				err := sites[rnd.IntN(3)].login(ctx, fmt.Sprint("u", rnd.IntN(20)))
				cancel()
				mu.Lock()
				if err == nil {
					won++
					longest, last = max(longest, time.Since(last)), time.Now()
				} else if !mayFail(err) {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wins := func() int {
		mu.Lock()
		defer mu.Unlock()
		return won
	}
	progress := func() {
		t.Helper()
		from := wins()
		eventually(t, "logins go on", func() bool { return wins() > from+50 })
	}
	progress()
	for range 2 {
		i := r.leader()
		r.stop(i)
		progress()
		r.start(i)
		progress()
	}
	close(stop)
	wg.Wait()
	t.Logf("%d logins; the longest time without one was %v", won, longest)
	require.Zero(t, o.doubled())

	sessions := owners(sites...)
	lost := r.leader()
	r.stop(lost)
	r.stop((lost + 1) % 3)
	require.Error(t, sites[0].login(within(t, 3*time.Second), "without a quorum"))
	r.start(lost)
	r.start((lost + 1) % 3)
	sites[0].mustLogin("with a quorum")
	sites[0].logout("with a quorum")
	require.Equal(t, sessions, owners(sites...), "no session was lost")
	eventually(t, "the directory is right", func() bool {
		have := listed(t, sites[1])
		for id, owner := range sessions {
			if have[id].Node != "n"+owner {
				return false
			}
		}
		return len(have) == len(sessions)
	})
	require.Zero(t, o.doubled())
}
