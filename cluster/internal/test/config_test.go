package test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/embedded"
)

func TestConfig_ErrorNamesTheInvalidField(t *testing.T) {
	t.Parallel()
	b := broker(t)
	plain := b.connect(t)
	fewer := b.connect(t, append(cluster.ConnOptions(0), nats.MaxReconnects(3))...)
	lazy := b.connect(t, append(cluster.ConnOptions(0), nats.PingInterval(time.Minute))...)
	resigned := b.connect(t, append(cluster.ConnOptions(0), func(o *nats.Options) error { o.IgnoreAuthErrorAbort = false; return nil })...)
	closed, err := b.Connect(cluster.ConnOptions(0)...)
	require.NoError(t, err)
	closed.Close()

	for _, tt := range []struct {
		want   []string
		change func(*cluster.Config)
	}{
		{[]string{"Config.Name", `""`}, func(c *cluster.Config) { c.Name = "" }},
		{[]string{"Config.Name", `"a b"`}, func(c *cluster.Config) { c.Name = "a b" }},
		{[]string{"Config.Name"}, func(c *cluster.Config) { c.Name = "a.b" }},
		{[]string{"Config.Name", "64"}, func(c *cluster.Config) { c.Name = string(make([]byte, 65)) }},
		{[]string{"Config.Namespace"}, func(c *cluster.Config) { c.Namespace = "*" }},
		{[]string{"Config.Local"}, func(c *cluster.Config) { c.Local = nil }},
		{[]string{"Config.Conn", "Config.URL"}, func(c *cluster.Config) { c.URL = "" }},
		{[]string{"Config.Conn", "Config.URL"}, func(c *cluster.Config) { c.Conn = plain }},
		{[]string{"Config.URL"}, func(c *cluster.Config) { c.URL = "nats://%" }},
		{[]string{"Config.URL", "percent-encode"}, func(c *cluster.Config) { c.URL = "nats://node:secr/et@127.0.0.1:4222" }},
		{[]string{"Config.URL", "percent-encode"}, func(c *cluster.Config) { c.URL = "nats://node:secr#et@127.0.0.1:4222" }},
		{[]string{"Config.Replicas", "2"}, func(c *cluster.Config) { c.Replicas = 2 }},
		{[]string{"Config.Replicas"}, func(c *cluster.Config) { c.Replicas = -1 }},
		{[]string{"Config.Storage"}, func(c *cluster.Config) { c.Storage = 2 }},
		{[]string{"Config.LeaseTTL", "at least 6s", "one broker"}, func(c *cluster.Config) { c.LeaseTTL = 5 * time.Second }},
		{[]string{"Config.LeaseTTL"}, func(c *cluster.Config) { c.LeaseTTL = -time.Second }},
		{[]string{"Config.LeaseTTL", "at least 20s", "elect"}, func(c *cluster.Config) { c.LeaseTTL, c.Replicas = 19*time.Second, 3 }},
		{[]string{"Config.LeaseTTL", "whole seconds"}, func(c *cluster.Config) { c.LeaseTTL = 6500 * time.Millisecond }},
		{[]string{"Config.LeaseTTL", "at most"}, func(c *cluster.Config) { c.LeaseTTL = 2 * time.Hour }},
		{[]string{"Config.OnLeaseLost"}, func(c *cluster.Config) { c.OnLeaseLost = 2 }},
		{[]string{"Config.DegradedLogin"}, func(c *cluster.Config) { c.DegradedLogin = 2 }},
		{[]string{"Config.DegradedLogin", "Config.OnLeaseLost"}, func(c *cluster.Config) {
			c.DegradedLogin, c.OnLeaseLost = cluster.AllowLogin, cluster.Fence
		}},
		{[]string{"Config.Conn", "ReconnectBufSize"}, func(c *cluster.Config) { c.URL, c.Conn = "", plain }},
		{[]string{"Config.Conn", "MaxReconnects"}, func(c *cluster.Config) { c.URL, c.Conn = "", fewer }},
		{[]string{"Config.Conn", "PingInterval"}, func(c *cluster.Config) { c.URL, c.Conn = "", lazy }},
		{[]string{"Config.Conn", "IgnoreAuthErrorAbort"}, func(c *cluster.Config) { c.URL, c.Conn = "", resigned }},
		{[]string{"Config.Conn", "closed"}, func(c *cluster.Config) { c.URL, c.Conn = "", closed }},
	} {
		c := cluster.Config{Name: "a", URL: b.URL(), Local: newSite(t, newObserver())}
		tt.change(&c)
		_, err := cluster.Join(within(t, patience), c)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "secr")
		for _, part := range tt.want {
			require.ErrorContains(t, err, part)
		}
	}
}

func TestJoin_RefusesANodeWithOtherSettings(t *testing.T) {
	t.Parallel()
	b := broker(t)
	join(t, newObserver(), "a", cluster.Config{URL: b.URL()})
	_, err := cluster.Join(within(t, patience), cluster.Config{Name: "b", URL: b.URL(), Local: newSite(t, newObserver()), Storage: cluster.Memory})
	require.ErrorContains(t, err, "Config.Storage")
	require.NotErrorIs(t, err, cluster.ErrUnavailable)
}

func TestJoin_WithoutABrokerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := broker(t)
	url := b.URL()
	require.NoError(t, b.Close())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := cluster.Join(ctx, cluster.Config{Name: "a", URL: url, Local: newSite(t, newObserver())})
	require.ErrorIs(t, err, cluster.ErrUnavailable)
	require.ErrorContains(t, err, "Config.URL")
}

func TestJoin_OnAConnectionWithinTheProcess(t *testing.T) {
	t.Parallel()
	b, err := embedded.Start(embedded.Config{}) // in a temporary directory, without a listener
	require.NoError(t, err)
	require.Empty(t, b.URL())
	nc, err := b.Connect(cluster.ConnOptions(0)...)
	require.NoError(t, err)
	s := newSite(t, newObserver())
	s.node, err = cluster.Join(within(t, patience), cluster.Config{Name: "a", Conn: nc, Local: s, Storage: cluster.Memory})
	require.NoError(t, err)
	s.mustLogin("x")
	require.NoError(t, s.node.Leave(within(t, patience)))
	require.True(t, nc.IsConnected(), "it belongs to who made it")
	nc.Close()
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
}

func TestEmbedded_ErrorNamesTheInvalidField(t *testing.T) {
	t.Parallel()
	b := broker(t)
	taken := b.URL()[len("nats://"):]
	for _, tt := range []struct {
		c    embedded.Config
		want string
	}{
		{embedded.Config{Addr: "nowhere"}, "Config.Addr"},
		{embedded.Config{Addr: "127.0.0.1:http"}, "Config.Addr"},
		{embedded.Config{Addr: "127.0.0.1:70000"}, "Config.Addr"},
		{embedded.Config{Addr: ":4222"}, "Config.Token"},
		{embedded.Config{Addr: "0.0.0.0:0"}, "Config.Token"},
		{embedded.Config{Addr: taken}, "Config.Addr"},
		{embedded.Config{Dir: "/dev/null/x"}, "Config.Dir"},
	} {
		_, err := embedded.Start(tt.c)
		require.ErrorContains(t, err, tt.want)
	}
}

func TestEmbedded_TokenIsRequiredOfClients(t *testing.T) {
	t.Parallel()
	b, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Token: "secret"})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	_, err = nats.Connect(b.URL())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	nc, err := nats.Connect(b.URL(), nats.Token("secret"))
	require.NoError(t, err)
	nc.Close()
	nc, err = b.Connect()
	require.NoError(t, err)
	nc.Close()
}
