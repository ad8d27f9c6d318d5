package test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The stream is lost while all connections stay, and another node is the first to write
// to the next one.
func TestLoss_OfTheDirectoryIsNoticedByEveryNode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lose  func(t *testing.T, nc *nats.Conn)
		login bool // at once, on another node
	}{
		{"deleted", request("DELETE"), true},
		{"deleted while nobody logs in", request("DELETE"), false},
		{"purged", request("PURGE"), true},
		{"purged while nobody logs in", request("PURGE"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			a := join(t, o, "a", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence, LeaseTTL: 2 * lease})
			c := join(t, o, "c", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence, LeaseTTL: 2 * lease})
			ids := names(20, "u%d")
			a.mustLogin(ids...)
			events := watch(t, a.node)
			before := revision(t, b, "KV_sessions_dir")
			time.Sleep(lease)
			quiet(t, events) // each node has seen the stream
			nc := b.connect(t)
			tt.lose(t, nc)
			want := 20
			if tt.login {
				c.mustLogin("new", ids[7])
				want = 21
			}
			eventually(t, "the directory is whole", func() bool { return len(listed(t, c)) == want })
			require.Greater(t, revision(t, b, "KV_sessions_dir"), before, "no revision comes again")
			until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Missed })
			agree(t, c, []*site{a, c})
			for _, id := range ids {
				require.Equal(t, 1, o.alive(id), id)
			}
			if tt.login {
				require.False(t, a.has(ids[7]), "the later login has it")
			}
			require.Equal(t, []cluster.State{cluster.Active, cluster.Active}, []cluster.State{a.node.State(), c.node.State()})
		})
	}
}

// request returns a function that sends a request about the directory's stream.
func request(what string) func(*testing.T, *nats.Conn) {
	return func(t *testing.T, nc *nats.Conn) {
		t.Helper()
		_, err := nc.Request("$JS.API.STREAM."+what+".KV_sessions_dir", nil, patience)
		require.NoError(t, err)
	}
}

// Sessions that come and go let the stream's first revision grow.
func TestLoss_IsNotSeenWhereSessionsEnd(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	var log logged
	a := join(t, o, "a", cluster.Config{URL: b.URL(), Logger: log.logger()})
	c := join(t, o, "c", cluster.Config{URL: b.URL(), Logger: log.logger()})
	ids := names(10, "u%d")
	for start, i := time.Now(), 0; time.Since(start) < 2*lease; i++ {
		a.mustLogin("rests")
		a.mustLogin(ids[i%10])
		c.mustLogin(ids[i%10])
		if i >= 3 {
			c.logout(ids[(i-3)%10])
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.NotContains(t, log.String(), "has lost the directory")
}

// A restart of the one broker of three that has the directory in memory would lose it, and
// no connection but its own would end.
func TestLoss_OfMemoryOnOneOfSeveralBrokersIsRefused(t *testing.T) {
	t.Parallel()
	r := startTrio(t)
	_, err := cluster.Join(within(t, patience), cluster.Config{Name: "a", URL: r.url(), Storage: cluster.Memory, Local: newSite(t, newObserver())})
	require.ErrorContains(t, err, "Config.Storage is Memory and Config.Replicas 1 on a cluster of brokers")
}

// logged collects what nodes log.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
