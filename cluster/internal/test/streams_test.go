package test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

const streams = 3

// messages returns how many messages each stream of the directory has.
func messages(t *testing.T, js jetstream.JetStream) []uint64 {
	t.Helper()
	var n []uint64
	for i := range streams {
		s, err := js.Stream(within(t, patience), "KV_sessions_dir"+[]string{"", "_2", "_3"}[i])
		require.NoError(t, err)
		n = append(n, s.CachedInfo().State.Msgs)
	}
	return n
}

// A session's entry may be in any of them, and nobody who asks for it need know that.
func TestStreams_AreOneDirectory(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	config := cluster.Config{URL: b.URL(), Streams: streams, OnLeaseLost: cluster.Fence}
	a, c := join(t, o, "a", config), join(t, o, "c", config)
	client := open(t, cluster.ClientConfig{URL: b.URL()})
	events := watch(t, client)
	ids := names(60, "u%d")
	a.mustLogin(ids...)
	claimed := make(map[string]bool)
	until(t, events, func(e cluster.Event) bool {
		require.Equal(t, cluster.Claimed, e.Kind)
		claimed[e.Entry.ID] = true
		return len(claimed) == len(ids)
	})
	_, js := b.jetstream(t)
	for i, n := range messages(t, js) {
		require.Greater(t, n, uint64(5), "stream %d", i)
	}

	c.mustLogin(ids[:30]...)
	agree(t, c, []*site{a, c})
	for i, id := range ids {
		e, err := lookup(t, client, id)
		require.NoError(t, err)
		require.Equal(t, map[bool]string{true: "c", false: "a"}[i < 30], e.Node)
	}
	for _, id := range ids[:6] {
		require.NoError(t, kick(t, client, id, "Kicked"))
	}
	require.Len(t, clientLists(t, client), len(ids)-6)
	some := 0
	require.NoError(t, insist(within(t, patience), "", func(ctx context.Context, _ string) error {
		some = 0
		return client.List(ctx, func(cluster.Entry) bool { some++; return some < 2 })
	}))
	require.Equal(t, 2, some, "List ends when it is told so")

	require.NoError(t, a.node.Leave(within(t, patience)))
	require.Len(t, listed(t, c), 24)
	require.Zero(t, o.doubled())
}

// One of them is lost while the connections stay, and then all, with the broker.
func TestStreams_AreWrittenAgainWhenTheyAreLost(t *testing.T) {
	t.Parallel()
	r, o := newRestartable(t), newObserver()
	config := cluster.Config{URL: r.b.URL(), Streams: streams, Storage: cluster.Memory}
	a, c := join(t, o, "a", config), join(t, o, "c", config)
	ids := names(60, "u%d")
	a.mustLogin(ids[:30]...)
	c.mustLogin(ids[30:]...)
	before := revision(t, r.b, "KV_sessions_dir_2")
	events := watch(t, c.node)
	quiet(t, events) // each node has seen the stream
	nc, err := r.b.Connect()
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Request("$JS.API.STREAM.DELETE.KV_sessions_dir_2", nil, patience)
	require.NoError(t, err)
	until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Missed })
	eventually(t, "the directory is whole", func() bool { return len(listed(t, a)) == len(ids) })
	require.Greater(t, revision(t, r.b, "KV_sessions_dir_2"), before, "no revision comes again")

	r.stop()
	r.start()
	eventually(t, "the directory is whole again", func() bool {
		n := 0
		err := a.node.List(within(t, patience), func(cluster.Entry) bool { n++; return true })
		return err == nil && n == len(ids)
	})
	agree(t, c, []*site{a, c})
	require.Equal(t, len(ids), a.len()+c.len())
	require.Zero(t, o.doubled())
}

// The entries of a dead node are deleted from all streams.
func TestStreams_LoseTheEntriesOfADeadNode(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	y := join(t, o, "y", cluster.Config{URL: p.url(), Streams: streams, OnLeaseLost: cluster.Fence})
	a := join(t, o, "a", cluster.Config{URL: b.URL(), Streams: streams})
	y.mustLogin(names(30, "u%d")...)
	a.mustLogin("stays")
	_, js := b.jetstream(t)
	p.hold()
	eventually(t, "only one entry is left", func() bool { return fmt.Sprint(messages(t, js)) == "[1 0 0]" })
	require.Len(t, listed(t, a), 1)
	p.heal()
}

func TestStreams_OfAllNodesAreTheSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ first, second int }{{1, 2}, {3, 1}, {3, 2}} {
		b := broker(t)
		join(t, newObserver(), "a", cluster.Config{URL: b.URL(), Streams: tt.first})
		_, err := cluster.Join(within(t, patience), cluster.Config{Name: "c", URL: b.URL(), Streams: tt.second, Local: newSite(t, newObserver())})
		require.ErrorContains(t, err, fmt.Sprintf("Config.Streams is %d", tt.second))
		require.ErrorContains(t, err, fmt.Sprintf("has %d", tt.first))
	}
	for _, n := range []int{-1, 65} {
		require.ErrorContains(t, cluster.Config{Name: "a", Streams: n}.Check(), "Config.Streams")
	}
}

// Brokers that replicate elect a leader for each stream.
func TestStreams_HaveTheirLeadersOnSeveralBrokers(t *testing.T) {
	t.Parallel()
	r := startTrio(t)
	a := join(t, newObserver(), "a", cluster.Config{URL: r.url(), Replicas: 3, Streams: 16, Storage: cluster.Memory})
	a.mustLogin(names(40, "u%d")...)
	require.Len(t, listed(t, a), 40)
	nc, err := nats.Connect(r.url())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	leaders := make(map[string]int)
	for infos := js.ListStreams(within(t, patience)); ; {
		info, ok := <-infos.Info()
		if !ok {
			require.NoError(t, infos.Err())
			break
		}
		if strings.HasPrefix(info.Config.Name, "KV_sessions_dir") {
			leaders[info.Cluster.Leader]++
		}
	}
	t.Log("streams that each leads: ", fmt.Sprint(leaders))
	require.Greater(t, len(leaders), 1)
}
