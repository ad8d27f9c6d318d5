package test

import (
	"regexp"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The broker's credentials are changed before those of the nodes, and changed back.
func TestConnection_SurvivesCredentialsThatAreRefusedForSomeTime(t *testing.T) {
	t.Parallel()
	options := func(password string, port int) *server.Options {
		return &server.Options{
			Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
			Username: "node", Password: password,
		}
	}
	o := options("old", -1)
	srv := serve(t, o)
	url := withUser(srv.ClientURL(), "node:old")
	var log logged
	obs := newObserver()
	a := join(t, obs, "a", cluster.Config{URL: url, Logger: log.logger()})
	c := join(t, obs, "c", cluster.Config{URL: url})
	client := open(t, cluster.ClientConfig{URL: url})
	a.mustLogin("x")
	change := func(password string) {
		next := o.Clone()
		next.Password = password
		require.NoError(t, srv.ReloadOptions(next))
		o = next
	}
	change("new")
	eventually(t, "the leases are lost", func() bool { return isolated(a)() && isolated(c)() })
	time.Sleep(time.Second) // many more attempts are refused
	refused := regexp.MustCompile(`level=WARN msg="not connected to the broker" node=a error=.*[Aa]uthorization`)
	eventually(t, "the log says why", func() bool { return refused.MatchString(log.String()) })
	change("old")
	eventually(t, "the nodes are back", active(a, c))
	c.mustLogin("x")
	require.Zero(t, obs.doubled())
	eventually(t, "so is the client", func() bool {
		e, err := client.Lookup(t.Context(), "x")
		return err == nil && e.Node == "c"
	})
}
