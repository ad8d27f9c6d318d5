package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/internal/test/brokerd"
)

// A broker that is killed has entries again that were deleted long before: their markers have
// expired, and others have written since.
func TestRelease_IsExecutedAgainWhenAKilledBrokerHasTheEntriesAgain(t *testing.T) {
	t.Parallel()
	o := newObserver()
	url, revive := killable(t)
	a := join(t, o, "a", cluster.Config{URL: url})
	c := join(t, o, "c", cluster.Config{URL: url})
	ids := names(10, "u%d")
	a.mustLogin(ids...)
	for _, id := range ids[:5] {
		a.logout(id)
	}
	for _, id := range ids[5:] {
		require.NoError(t, c.node.Kick(within(t, patience), id, "Kicked"))
	}
	c.mustLogin("stays")

	messages := func() uint64 { return messagesAt(t, url) }
	eventually(t, "the markers have expired", func() bool { return messages() == 1 })
	revive()
	back := messages()
	t.Logf("the broker has %d messages after it was killed", back)
	eventually(t, "the nodes are back", active(a, c))
	eventually(t, "only the session that is there has an entry", func() bool { return messages() == 1 })
	time.Sleep(lease / 3) // and it stays so
	require.EqualValues(t, 1, messages())
	agree(t, c, []*site{a, c})
}

// The same, if the answers to the deletions are lost: the node has only seen that the entries are
// gone.
func TestRelease_WhoseAnswerIsLostIsExecutedAgainToo(t *testing.T) {
	t.Parallel()
	o := newObserver()
	url, revive := killable(t)
	p := between(t, url)
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: url})
	c.mustLogin("stays")
	a.mustLogin("x")
	p.holdAfter("$KV.sessions_dir.s.x")
	a.logout("x")
	eventually(t, "the deletion is on its way", p.holding)
	eventually(t, "the marker has expired", func() bool { return messagesAt(t, url) == 1 })
	p.heal()
	eventually(t, "the node is back", active(a))
	time.Sleep(lease / 3) // it has found that the entry is gone
	revive()
	t.Logf("the broker has %d messages after it was killed", messagesAt(t, url))
	eventually(t, "the nodes are back", active(a, c))
	eventually(t, "only the session that is there has an entry", func() bool { return messagesAt(t, url) == 1 })
	agree(t, c, []*site{a, c})
}

// The same, if the node stays connected, and only finds that another entry is missing.
func TestRelease_IsExecutedAgainWhenEntriesAreMissing(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	var log logged
	a := join(t, o, "a", cluster.Config{URL: b.URL(), Logger: log.logger()})
	eventually(t, "the first reconciliation is over", func() bool { // which reads the whole directory
		return strings.Contains(log.String(), "compared the directory with the sessions")
	})
	a.mustLogin("stays", "x", "z")
	nc := b.connect(t)
	write := func(id, owner string) {
		_, err := nc.Request("$KV.sessions_dir.s."+id, fmt.Appendf(nil, `{"owner":%q,"node":"a","token":7,"since":1}`, owner), patience)
		require.NoError(t, err)
	}
	write("z", "another")
	a.logout("x")
	a.logout("z")
	eventually(t, "the entry of x is gone", func() bool { return len(listed(t, a)) == 2 })
	time.Sleep(lease / 3) // a has found that z has another node's
	for _, id := range []string{"x", "z"} {
		write(id, epoch(t, a, "a"))
	}
	_, err := nc.Request("$JS.API.STREAM.PURGE.KV_sessions_dir", []byte(`{"filter":"$KV.sessions_dir.s.stays"}`), patience)
	require.NoError(t, err)
	eventually(t, "only the session that is there has an entry", func() bool {
		entries := listed(t, a)
		return len(entries) == 1 && entries["stays"].Token == a.token("stays")
	})
}

// killable starts a broker. revive kills it and starts it again at the same address.
func killable(t *testing.T) (url string, revive func()) {
	t.Helper()
	r := newTrio(t)
	arg := brokerd.Arg{Name: "alone", Dir: t.TempDir(), Host: r.host, Port: r.ports[0]}
	b := spawn(t, "broker", arg)
	return fmt.Sprintf("nats://%s:%d", r.host, r.ports[0]), func() {
		b.kill()
		b = spawn(t, "broker", arg)
		t.Cleanup(b.stop)
	}
}

// messagesAt returns how many messages the directory's stream has, or 0 if the broker does not
// say.
func messagesAt(t *testing.T, url string) uint64 {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		return 0
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s, err := js.Stream(t.Context(), "KV_sessions_dir")
	if err != nil {
		return 0
	}
	return s.CachedInfo().State.Msgs
}
