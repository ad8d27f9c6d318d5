package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// There are entries of the node without a session, and sessions without an entry. The node
// reads the entries of its own sessions; it deletes another one when somebody asks for it.
func TestReconcile_CorrectsDifferencesEitherWay(t *testing.T) {
	t.Parallel()
	r, o := newRestartable(t), newObserver()
	var log logged
	a := join(t, o, "a", cluster.Config{URL: r.b.URL(), Logger: log.logger()})
	ids := names(100, "u%d")
	a.mustLogin(ids...)
	// The first one reads the whole directory, and would delete what is written below.
	eventually(t, "the first reconciliation is over", func() bool {
		return strings.Contains(log.String(), "compared the directory with the sessions")
	})
	own := epoch(t, a, "a")
	nc, err := r.b.Connect()
	require.NoError(t, err)
	for _, id := range names(100, "orphan%d") {
		_, err := nc.Request("$KV.sessions_dir.s."+id, fmt.Appendf(nil, `{"owner":%q,"node":"a","token":7,"since":1}`, own), patience)
		require.NoError(t, err)
	}
	for _, id := range ids[:50] {
		_, err := nc.Request("$JS.API.STREAM.PURGE.KV_sessions_dir", []byte(`{"filter":"$KV.sessions_dir.s.`+id+`"}`), patience)
		require.NoError(t, err)
	}
	nc.Close()
	require.GreaterOrEqual(t, len(listed(t, a)), 150) // the node may have noticed already
	r.stop()
	r.start()
	eventually(t, "the sessions have entries", func() bool {
		entries := listed(t, a)
		for _, id := range ids {
			if entries[id].Token != a.token(id) {
				return false
			}
		}
		return len(entries) == len(ids)+100
	})
	for i, id := range names(100, "orphan%d") {
		if i%2 == 0 {
			require.ErrorIs(t, send(t, a.node, id, nil), cluster.ErrNotFound)
		} else {
			require.ErrorIs(t, kick(t, a.node, id, "Kicked"), cluster.ErrNotFound)
		}
	}
	eventually(t, "the others are gone", func() bool { return len(listed(t, a)) == len(ids) })
	require.Equal(t, own, epoch(t, a, "a"))
	require.Equal(t, 100, a.len())
}

// An owner that has an entry and no session deletes it at once when asked to evict.
func TestEviction_DeletesAnEntryWithoutASession(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	nc := b.connect(t)
	write := func() {
		_, err := nc.Request("$KV.sessions_dir.s.x", fmt.Appendf(nil, `{"owner":%q,"node":"a","token":7,"since":1}`, epoch(t, c, "a")), patience)
		require.NoError(t, err)
	}
	write()
	require.ErrorIs(t, send(t, c.node, "x", nil), cluster.ErrNotFound)
	c.mustLogin("x")
	c.logout("x")
	eventually(t, "the entry is gone", func() bool { return len(listed(t, c)) == 0 })
	write()
	a.mustLogin("x")
	require.Zero(t, o.doubled())
}
