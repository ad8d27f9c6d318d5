package test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// caller is a Node or a Client.
type caller interface {
	Lookup(context.Context, string) (cluster.Entry, error)
	Kick(context.Context, string, pool.Reason) error
	Send(context.Context, string, []byte) error
}

// lookup, kick and send ask again while the broker is slow to answer, as on a busy machine.
func lookup(t testing.TB, by caller, id string) (e cluster.Entry, err error) {
	err = insist(within(t, patience), id, func(ctx context.Context, id string) (err error) {
		e, err = by.Lookup(ctx, id)
		return err
	})
	return e, err
}

func kick(t testing.TB, by caller, id string, why pool.Reason) error {
	return insist(within(t, patience), id, func(ctx context.Context, id string) error { return by.Kick(ctx, id, why) })
}

func send(t testing.TB, by caller, id string, msg []byte) error {
	return insist(within(t, patience), id, func(ctx context.Context, id string) error { return by.Send(ctx, id, msg) })
}

func TestKick_AndSendReachASessionFromAnyNode(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin("x", "y")
	var want []string
	for i := range 100 {
		from := []*site{a, c}[i%2]
		require.NoError(t, send(t, from.node, "x", fmt.Append(nil, i)))
		want = append(want, fmt.Sprintf("x: %d", i))
	}
	require.Equal(t, want, a.received(), "in the order that they were sent in")
	big := make([]byte, 512<<10)
	require.NoError(t, send(t, c.node, "x", big))

	require.NoError(t, kick(t, c.node, "x", "Because"))
	require.False(t, a.has("x"))
	require.Equal(t, pool.Reason("Because"), a.reason("x"))
	require.NoError(t, kick(t, a.node, "y", "Own"))
	require.Equal(t, pool.Reason("Own"), a.reason("y"))
	for _, s := range []*site{a, c} {
		for _, id := range []string{"x", "y", "never"} {
			require.ErrorIs(t, kick(t, s.node, id, "again"), cluster.ErrNotFound)
			require.ErrorIs(t, send(t, s.node, id, nil), cluster.ErrNotFound)
		}
	}
	require.Empty(t, listed(t, a))
}

// The broker does not answer when the session has ended.
func TestKick_ReturnsWhenTheEntryIsDeletedToo(t *testing.T) {
	t.Parallel()
	const patient = 60 * time.Second // so that a network which stands still is not given up
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), LeaseTTL: patient})
	c := join(t, o, "c", cluster.Config{URL: b.URL(), LeaseTTL: patient})
	a.mustLogin("x", "y")
	a.closing = func(string) { p.hold() }
	require.ErrorIs(t, a.node.Kick(within(t, 4*time.Second), "x", "Kicked"), cluster.ErrUnavailable)
	require.False(t, a.has("x"))
	_, err := c.node.Lookup(t.Context(), "x")
	require.NoError(t, err, "its entry is there")
	p.release()
	kicked := make(chan error, 1)
	go func() { kicked <- a.node.Kick(within(t, patience), "y", "Kicked") }()
	eventually(t, "the session has ended", func() bool { return !a.has("y") })
	time.Sleep(2 * time.Second) // for longer than one request to the broker may take
	p.release()
	require.NoError(t, <-kicked)
	_, err = c.node.Lookup(t.Context(), "y")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	eventually(t, "the first one's entry is gone", func() bool { return len(listed(t, c)) == 0 })
}

func TestKickEntry_ClosesNoLaterLoginOfTheID(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	seen, err := c.node.Lookup(t.Context(), "x")
	require.NoError(t, err)
	require.NoError(t, a.node.Kick(t.Context(), "x", "Because"))
	a.mustLogin("x")
	for _, s := range []*site{a, c} { // its own node, and another
		require.ErrorIs(t, s.node.KickEntry(t.Context(), seen, "late"), cluster.ErrNotFound)
		require.True(t, a.has("x"))
	}
	now, err := c.node.Lookup(t.Context(), "x")
	require.NoError(t, err)
	require.NoError(t, c.node.KickEntry(t.Context(), now, "seen"))
	require.False(t, a.has("x"))
}

// ask sends a request as another node would, possibly with an old token.
func ask(t *testing.T, nc *nats.Conn, epoch, op string, q map[string]any) map[string]any {
	t.Helper()
	b, err := json.Marshal(q)
	require.NoError(t, err)
	m, err := nc.RequestWithContext(within(t, patience), "sessions.node."+epoch+"."+op, b)
	require.NoError(t, err)
	var r map[string]any
	require.NoError(t, json.Unmarshal(m.Data, &r))
	return r
}

// Whoever kicks has read an entry that was written again since.
func TestKick_DeletesAnEntryThatWasWrittenAgainMeanwhile(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	owner, ids := epoch(t, a, "a"), names(20, "u%d")
	a.mustLogin(ids...)
	for _, id := range ids {
		r := ask(t, nc, owner, "kick", map[string]any{"key": "s." + id, "token": a.token(id), "rev": 1_000, "reason": "Kicked"})
		require.Equal(t, true, r["ok"], r)
		require.Empty(t, last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s."+id))
		require.False(t, a.has(id))
	}
}

func TestToken_OfAnEarlierLoginReachesNoLaterSession(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	old, err := a.node.Lookup(t.Context(), "x")
	require.NoError(t, err)
	a.mustLogin("x")
	nc := b.connect(t)
	for _, op := range []string{"send", "kick", "evict"} {
		r := ask(t, nc, old.Owner, op, map[string]any{"key": "s.x", "token": old.Token, "rev": 1, "reason": "late", "data": "bGF0ZQ=="})
		require.Equal(t, false, r["ok"], op)
		require.Equal(t, true, r["stale"], op)
	}
	require.True(t, a.has("x"))
	require.Empty(t, a.received())
	e, err := a.node.Lookup(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, a.token("x"), e.Token)

	// With the session's own token each request is executed.
	r := ask(t, nc, e.Owner, "send", map[string]any{"key": "s.x", "token": e.Token, "data": "bm93"})
	require.Equal(t, true, r["ok"])
	require.Equal(t, []string{"x: now"}, a.received())
	r = ask(t, nc, e.Owner, "kick", map[string]any{"key": "s.x", "token": e.Token, "reason": "now"})
	require.Equal(t, true, r["ok"])
	require.False(t, a.has("x"))
}

func TestRequest_ThatIsInvalidIsAnsweredAndChangesNothing(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	nc := b.connect(t)
	own := epoch(t, a, "a")
	for _, op := range []string{"send", "kick", "evict", "dance"} {
		for _, data := range []string{"", "{", `{"token":-1}`, "[]", `{"key":"s.x"}`, `{"key":"s."}`, `{"key":"b.eA"}`, `{"key":"foreign"}`} {
			m, err := nc.Request("sessions.node."+own+"."+op, []byte(data), patience)
			require.NoError(t, err)
			require.NotContains(t, string(m.Data), `"ok":true`, "%s %s", op, data)
		}
	}
	require.True(t, a.has("x"))

	// Any node may overwrite an entry without an owner.
	_, err := nc.Request("$KV.sessions_dir.s.y", []byte("not an entry"), patience)
	require.NoError(t, err)
	_, err = nc.Request("$KV.sessions_dir.foreign", []byte("not a key"), patience)
	require.NoError(t, err)
	_, err = a.node.Lookup(t.Context(), "y")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	a.mustLogin("y")
	require.Len(t, listed(t, a), 2)
}

func TestList_CountNodesAndWatchAgree(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	other := join(t, newObserver(), "a", cluster.Config{URL: b.URL(), Namespace: "other"})
	other.mustLogin("elsewhere")
	ctx := within(t, patience)
	events := watch(t, a.node)
	next := func(kind cluster.Kind, id, node string) {
		t.Helper()
		select {
		case e := <-events:
			require.Equal(t, []any{kind, id, node}, []any{e.Kind, e.Entry.ID, e.Entry.Node})
		case <-time.After(patience):
			t.Fatalf("no %v of %s", kind, id)
		}
	}

	a.mustLogin("x")
	next(cluster.Claimed, "x", "a")
	c.mustLogin("x") // a takeover
	next(cluster.Released, "x", "")
	next(cluster.Claimed, "x", "c")
	c.logout("x")
	next(cluster.Released, "x", "")

	ids := names(300, "user %d")
	a.mustLogin(ids[:100]...)
	c.mustLogin(ids[100:]...)
	for _, id := range ids {
		until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Claimed && e.Entry.ID == id })
	}
	entries := listed(t, c)
	require.Len(t, entries, 300)
	for i, id := range ids {
		require.Equal(t, map[bool]string{true: "a", false: "c"}[i < 100], entries[id].Node)
		require.Equal(t, []byte("of "+id), entries[id].Meta)
	}
	seen := 0
	require.NoError(t, a.node.List(ctx, func(cluster.Entry) bool { seen++; return seen < 7 }))
	require.Equal(t, 7, seen)

	for _, s := range []*site{a, c} {
		eventually(t, "the counts have come round", func() bool {
			sessions, nodes := s.node.Count()
			return sessions == 300 && nodes == 2
		})
		nodes := s.node.Nodes()
		require.Len(t, nodes, 2)
		require.Equal(t, []any{"a", 100, "c", 200}, []any{nodes[0].Name, nodes[0].Sessions, nodes[1].Name, nodes[1].Sessions})
	}

	require.NoError(t, c.node.Leave(ctx))
	for range 200 {
		until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Released })
	}
	require.NoError(t, a.node.Leave(ctx))
	eventually(t, "the channel is closed", func() bool {
		select {
		case _, open := <-events:
			return !open
		default:
			return false
		}
	})
	_, err := a.node.Watch(ctx)
	require.ErrorIs(t, err, cluster.ErrLeft)
}
