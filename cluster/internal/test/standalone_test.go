package test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// standalone starts a broker with the given configuration, which ends with the test.
func standalone(t *testing.T, config string) *server.Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "broker.conf")
	require.NoError(t, os.WriteFile(path, []byte("listen: \"127.0.0.1:-1\"\njetstream { store_dir: \""+t.TempDir()+"\" }\n"+config), 0o600))
	o, err := server.ProcessConfigFile(path)
	require.NoError(t, err)
	o.NoSigs, o.NoLog = true, true
	return serve(t, o)
}

func serve(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	require.True(t, srv.ReadyForConnections(patience))
	return srv
}

// If the broker cannot do what is configured, Join fails at once.
func TestJoin_FailsAtOnceIfRetryingCannotHelp(t *testing.T) {
	t.Parallel()
	alone := standalone(t, "")
	off := serve(t, &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	account := standalone(t, "accounts { A: { users: [ { user: u, password: p } ] } }")
	for _, tt := range []struct {
		name   string
		url    string
		change func(*cluster.Config)
		want   []string
		open   bool // Open fails with the same error
	}{
		{"more replicas than brokers", alone.ClientURL(), func(c *cluster.Config) { c.Replicas = 3 }, []string{"Config.Replicas is 3", "use 1"}, false},
		{"JetStream is off", off.ClientURL(), func(*cluster.Config) {}, []string{"no JetStream", "enable it"}, true},
		{"JetStream is off, replicated", off.ClientURL(), func(c *cluster.Config) { c.Replicas = 3 }, []string{"no JetStream", "enable it"}, true},
		{"JetStream is off for the account", withUser(account.ClientURL(), "u:p"), func(*cluster.Config) {}, []string{"no JetStream", "account"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := cluster.Config{Name: "a", URL: tt.url, Local: newSite(t, newObserver())}
			tt.change(&c)
			_, err := cluster.Join(t.Context(), c) // a context that does not end
			check := func(err error) {
				t.Helper()
				require.NotErrorIs(t, err, cluster.ErrUnavailable)
				for _, part := range tt.want {
					require.ErrorContains(t, err, part)
				}
				require.NotContains(t, err.Error(), "\n")
			}
			check(err)
			if tt.open {
				_, err = cluster.Open(t.Context(), cluster.ClientConfig{URL: tt.url})
				check(err)
			}
		})
	}
}

func withUser(url, user string) string { return strings.Replace(url, "nats://", "nats://"+user+"@", 1) }

// A cluster that is starting answers like one that is too small, so Join waits for it.
func TestJoin_WaitsForBrokersThatAreStarting(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	r.start(0)
	t.Cleanup(func() { r.stop(0) })
	var err error
	eventually(t, "Join has an answer before its context ends", func() bool {
		_, err = cluster.Join(within(t, 2*time.Second), cluster.Config{Name: "a", URL: r.url(), Replicas: 3, Local: newSite(t, newObserver())})
		require.ErrorIs(t, err, cluster.ErrUnavailable)
		return strings.Contains(err.Error(), "Config.Replicas is 3")
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)

	joined := make(chan error, 1)
	s := newSite(t, newObserver())
	go func() {
		var err error
		s.node, err = cluster.Join(within(t, patience), cluster.Config{Name: "a", URL: r.url(), Replicas: 3, Local: s})
		joined <- err
	}()
	for i := 1; i < 3; i++ {
		select {
		case err := <-joined:
			t.Fatalf("it did not wait for the others: %v", err)
		case <-time.After(time.Second):
		}
		r.start(i)
		t.Cleanup(func() { r.stop(i) })
	}
	require.NoError(t, <-joined)
	s.mustLogin("x")
	require.NoError(t, s.node.Leave(within(t, patience)))
}

// Two brokers form a complete cluster. The error contains their last answer.
func TestJoin_NamesTooFewBrokersWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	r.routes = r.routes[:2]
	for i := range 2 {
		r.start(i)
		t.Cleanup(func() { r.stop(i) })
	}
	nc, err := nats.Connect(r.url())
	require.NoError(t, err)
	defer nc.Close()
	eventually(t, "the two have elected a leader", func() bool { return r.srv[0].JetStreamIsLeader() || r.srv[1].JetStreamIsLeader() })
	eventually(t, "Join has their answer before its context ends", func() bool {
		_, err = cluster.Join(within(t, 3*time.Second), cluster.Config{Name: "a", URL: r.url(), Replicas: 3, Local: newSite(t, newObserver())})
		require.ErrorIs(t, err, cluster.ErrUnavailable)
		return strings.Contains(err.Error(), "Config.Replicas is 3") && strings.Contains(err.Error(), "no suitable peers for placement")
	})
}
