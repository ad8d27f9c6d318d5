package test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// open returns a client that is closed at the end of the test.
func open(t testing.TB, c cluster.ClientConfig) *cluster.Client {
	t.Helper()
	client, err := cluster.Open(within(t, patience), c)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// clientLists returns the entries that a client lists.
func clientLists(t testing.TB, c *cluster.Client) map[string]cluster.Entry {
	t.Helper()
	var entries map[string]cluster.Entry
	eventually(t, "the directory can be listed", func() bool {
		entries = make(map[string]cluster.Entry)
		return c.List(within(t, patience), func(e cluster.Entry) bool {
			entries[e.ID] = e
			return true
		}) == nil
	})
	return entries
}

func TestClient_ReadsTheDirectoryAndReachesItsSessions(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin("x", "a name with spaces and *.>")
	c.mustLogin("y")
	client := open(t, cluster.ClientConfig{URL: b.URL()})

	for _, id := range []string{"x", "y", "a name with spaces and *.>"} {
		want, err := lookup(t, a.node, id)
		require.NoError(t, err)
		have, err := lookup(t, client, id)
		require.NoError(t, err)
		require.Equal(t, want, have)
	}
	require.Equal(t, listed(t, a), clientLists(t, client))
	eventually(t, "the counts have come round", func() bool {
		sessions, nodes := client.Count()
		return sessions == 3 && nodes == 2
	})
	nodes := client.Nodes()
	require.Equal(t, []any{"a", 2, "c", 1}, []any{nodes[0].Name, nodes[0].Sessions, nodes[1].Name, nodes[1].Sessions})
	require.Equal(t, epoch(t, a, "c"), nodes[1].Epoch)

	var want []string
	for i := range 50 {
		require.NoError(t, send(t, client, "x", fmt.Append(nil, i)))
		want = append(want, fmt.Sprintf("x: %d", i))
	}
	require.Equal(t, want, a.received(), "in the order that they were sent in")
	require.NoError(t, kick(t, client, "y", "Because"))
	require.False(t, c.has("y"), "it had ended when Kick returned")
	require.Equal(t, pool.Reason("Because"), c.reason("y"))

	for _, id := range []string{"y", "never"} {
		_, err := lookup(t, client, id)
		require.ErrorIs(t, err, cluster.ErrNotFound)
		require.ErrorIs(t, kick(t, client, id, "again"), cluster.ErrNotFound)
		require.ErrorIs(t, send(t, client, id, nil), cluster.ErrNotFound)
	}
	_, err := client.Lookup(t.Context(), "")
	require.ErrorIs(t, err, cluster.ErrInvalid)
	require.ErrorIs(t, client.Send(t.Context(), "x", make([]byte, 1<<20)), cluster.ErrInvalid)

	// After a takeover, requests reach the session that has the ID now.
	c.mustLogin("x")
	require.NoError(t, send(t, client, "x", []byte("new")))
	require.Equal(t, []string{"x: new"}, c.received())
	require.Len(t, a.received(), 50)
	require.Len(t, a.node.Nodes(), 2, "the client does not count as a node")
	for _, info := range a.node.Nodes() {
		require.Equal(t, info.Name == "a", info.This)
	}
	for _, info := range client.Nodes() {
		require.False(t, info.This)
	}
}

// The only node was killed, so no other process writes.
func TestClient_WritesNothing(t *testing.T) {
	t.Parallel()
	b := broker(t)
	spawn(t, "node", nodeArg{Name: "a", URL: b.URL(), Logins: 20}).kill()
	_, js := b.jetstream(t)
	info := func(stream string) *jetstream.StreamInfo {
		s, err := js.Stream(within(t, patience), stream)
		require.NoError(t, err)
		return s.CachedInfo()
	}
	streams := []string{"KV_sessions_nodes", "KV_sessions_dir"}
	before := make(map[string]jetstream.StreamState)
	eventually(t, "the node's watchers are gone", func() bool {
		for _, stream := range streams {
			before[stream] = info(stream).State
		}
		return before[streams[0]].Consumers+before[streams[1]].Consumers == 0
	})

	client, err := cluster.Open(within(t, patience), cluster.ClientConfig{URL: b.URL()})
	require.NoError(t, err)
	defer client.Close()
	watch(t, client)
	e, err := lookup(t, client, "u7")
	require.NoError(t, err, "no node has declared it dead")
	require.Equal(t, "a", e.Node)
	require.Len(t, clientLists(t, client), 20)
	require.ErrorIs(t, client.Kick(t.Context(), "u7", "x"), cluster.ErrUnavailable)
	require.ErrorIs(t, client.Send(t.Context(), "u7", nil), cluster.ErrUnavailable)
	require.Len(t, client.Nodes(), 1)
	time.Sleep(lease * 3 / 2) // the time after which a node would declare it dead
	client.Close()
	for _, stream := range streams {
		have := info(stream).State
		require.Equal(t, before[stream].LastSeq, have.LastSeq, "%s was written to", stream)
		require.Equal(t, before[stream].Msgs, have.Msgs)
		eventually(t, "the client's watchers are gone", func() bool { return info(stream).State.Consumers == 0 })
	}
}

func TestClient_WithoutAClusterFailsAndCreatesNone(t *testing.T) {
	t.Parallel()
	b := broker(t)
	_, err := cluster.Open(within(t, patience), cluster.ClientConfig{URL: b.URL()})
	require.ErrorIs(t, err, cluster.ErrNoCluster)
	require.NotErrorIs(t, err, cluster.ErrUnavailable)
	nc := b.connect(t, cluster.ConnOptions(20*time.Second)...)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for name := range js.StreamNames(within(t, patience)).Name() {
		t.Errorf("there is a stream: %s", name)
	}

	join(t, newObserver(), "a", cluster.Config{URL: b.URL()}).mustLogin("x")
	client := open(t, cluster.ClientConfig{Conn: nc})
	_, err = client.Lookup(t.Context(), "x")
	require.NoError(t, err)
	client.Close()
	require.True(t, nc.IsConnected(), "it belongs to who made it")
	_, err = cluster.Open(within(t, patience), cluster.ClientConfig{Conn: nc, Namespace: "other"})
	require.ErrorIs(t, err, cluster.ErrNoCluster)
	require.ErrorContains(t, err, `"other"`)
}

func TestClient_ConfigErrorNamesTheInvalidField(t *testing.T) {
	t.Parallel()
	b := broker(t)
	plain := b.connect(t)
	for _, tt := range []struct {
		c    cluster.ClientConfig
		want string
	}{
		{cluster.ClientConfig{}, "neither ClientConfig.Conn nor ClientConfig.URL"},
		{cluster.ClientConfig{URL: b.URL(), Conn: plain}, "both ClientConfig.Conn and ClientConfig.URL"},
		{cluster.ClientConfig{URL: b.URL(), Namespace: "a.b"}, "ClientConfig.Namespace"},
		{cluster.ClientConfig{URL: "nats://%"}, "ClientConfig.URL"},
		{cluster.ClientConfig{Conn: plain}, "ClientConfig.Conn keeps writes"},
	} {
		_, err := cluster.Open(within(t, patience), tt.c)
		require.ErrorContains(t, err, tt.want)
	}
	url := b.URL()
	require.NoError(t, b.Close())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := cluster.Open(ctx, cluster.ClientConfig{URL: url})
	require.ErrorIs(t, err, cluster.ErrUnavailable)
	require.ErrorContains(t, err, "ClientConfig.URL")
}

func TestClient_FindsNoSessionOfADeadNode(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	client := open(t, cluster.ClientConfig{URL: b.URL()})
	a.mustLogin("x")
	c.mustLogin("stays")
	eventually(t, "both are seen", func() bool { return len(client.Nodes()) == 2 })
	p.hold() // for the rest of the test
	_, err := lookup(t, client, "x")
	require.NoError(t, err, "it lives as long as its lease")
	eventually(t, "the node is gone from the client's view", func() bool {
		nodes := client.Nodes()
		return len(nodes) == 1 && nodes[0].Name == "c"
	})
	_, err = lookup(t, client, "x")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	require.ErrorIs(t, send(t, client, "x", nil), cluster.ErrNotFound)
	require.Contains(t, clientLists(t, client), "stays")
	require.NotContains(t, clientLists(t, client), "x")
}

// The entries belong to a node with a tombstone, and no node is there to delete them.
func TestClient_JudgesByTheTombstone(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	require.NoError(t, a.node.Leave(within(t, patience)))
	nc := b.connect(t)
	write := func(subject, value string) {
		t.Helper()
		_, err := nc.Request("$KV.sessions_"+subject, []byte(value), patience)
		require.NoError(t, err)
	}
	write("dir.s.y", `{"owner":"gone_1","node":"gone","token":5,"since":1}`)
	write("nodes.gone_1", `{"node":"gone","lease":6000}`)
	client := open(t, cluster.ClientConfig{URL: b.URL()})
	_, err := lookup(t, client, "y")
	require.NoError(t, err)
	write("nodes.gone_1", `{"node":"gone","lease":6000,"dead":true}`)
	eventually(t, "the certificate is seen", func() bool { return len(client.Nodes()) == 0 })
	_, err = lookup(t, client, "y")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	require.Empty(t, clientLists(t, client))
	require.NotEmpty(t, last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s.y"), "the client deletes nothing")
}

func TestClient_WatchSurvivesARestartOfTheBroker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		storage cluster.Storage
	}{{"file", cluster.File}, {"memory", cluster.Memory}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, o := newRestartable(t), newObserver()
			a := join(t, o, "a", cluster.Config{URL: r.b.URL(), Storage: tt.storage})
			client := open(t, cluster.ClientConfig{URL: r.b.URL()})
			events := watch(t, client)
			a.mustLogin("x")
			until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Claimed && e.Entry.ID == "x" })
			r.stop()
			_, err := client.Lookup(within(t, patience), "x")
			require.ErrorIs(t, err, cluster.ErrUnavailable)
			r.start()
			until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Missed })
			hears(t, a, events, "late")
			eventually(t, "the client sees the directory and the node as they are", func() bool {
				e, err := client.Lookup(within(t, patience), "x")
				nodes, own := client.Nodes(), epoch(t, a, "a")
				return err == nil && e.Token == a.token("x") && len(nodes) == 1 && nodes[0].Epoch == own
			})
			eventually(t, "its incarnation answers", func() bool {
				return client.Send(within(t, patience), "x", []byte("hello")) == nil
			})
			require.Contains(t, a.received(), "x: hello")
		})
	}
}

// Not parallel: it inspects all goroutines of the process. The node and the broker run in
// other processes.
func TestClient_CloseEndsItsGoroutines(t *testing.T) {
	url := brokerProcess(t)
	spawn(t, "node", nodeArg{Name: "a", URL: url, Logins: 3})
	before := goleak.IgnoreCurrent()
	client, err := cluster.Open(within(t, patience), cluster.ClientConfig{URL: url})
	require.NoError(t, err)
	events := watch(t, client)
	require.NoError(t, client.Send(t.Context(), "u1", nil))
	require.Contains(t, stacks(), "sessionwheel/cluster.(*reader)")

	client.Close()
	// A goroutine that Close has waited for may not have exited yet.
	eventually(t, "its goroutines are gone", func() bool { return !strings.Contains(stacks(), "sessionwheel/cluster.") })
	_, isOpen := <-events
	require.False(t, isOpen)
	client.Close()
	_, err = client.Lookup(t.Context(), "u1")
	require.ErrorIs(t, err, cluster.ErrClosed)
	_, err = client.Watch(t.Context())
	require.ErrorIs(t, err, cluster.ErrClosed)
	require.ErrorIs(t, client.Kick(t.Context(), "u1", "x"), cluster.ErrClosed)
	require.ErrorIs(t, client.Send(t.Context(), "u1", nil), cluster.ErrClosed)
	require.ErrorIs(t, client.List(t.Context(), func(cluster.Entry) bool { return true }), cluster.ErrClosed)
	require.Len(t, client.Nodes(), 1, "as it was last")
	eventually(t, "the connection's goroutines have ended", func() bool { return goleak.Find(before) == nil })
}

func stacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// The manual names the permissions of a user that only reads.
func TestManual_PermissionsWorkForAClient(t *testing.T) {
	t.Parallel()
	rights := manualBlock(t, "{\n  user: watcher")
	srv := standalone(t, "authorization { users: [ { user: node, password: a }, "+strings.ReplaceAll(rights, "$WATCHER_PASSWORD", "b")+" ] }")
	as := func(user, password string) *nats.Conn {
		nc, err := nats.Connect(srv.ClientURL(), append(cluster.ConnOptions(0), nats.UserInfo(user, password),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...) // refusals are expected
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	a := join(t, newObserver(), "a", cluster.Config{Conn: as("node", "a")})
	a.mustLogin("x", "y")
	nc := as("watcher", "b")
	client := open(t, cluster.ClientConfig{Conn: nc})
	events := watch(t, client)
	_, err := client.Lookup(t.Context(), "x")
	require.NoError(t, err)
	require.Len(t, clientLists(t, client), 2)
	require.Len(t, client.Nodes(), 1)
	a.logout("y")
	until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Released && e.Entry.ID == "y" })
	short := within(t, 2*time.Second)
	require.ErrorIs(t, client.Kick(short, "x", "no"), cluster.ErrUnavailable)
	require.True(t, a.has("x"))
	_, err = nc.RequestWithContext(within(t, time.Second), "$KV.sessions_dir.s.x", []byte("forged"))
	require.Error(t, err)
	e, err := client.Lookup(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, a.token("x"), e.Token)
}
