package test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The node that has declared another one dead deletes its entries, and nobody else does as
// long as it lives. Then one of the others goes on.
func TestReconcile_OneNodeDeletesTheEntriesOfADeadOne(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	d := join(t, o, "d", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: p.url()})
	for _, id := range names(20, "u%d") {
		_, err := nc.Request("$KV.sessions_dir.s."+id, []byte(`{"owner":"gone_1","node":"gone","token":5,"since":1}`), patience)
		require.NoError(t, err)
	}
	reaper := epoch(t, a, "c")
	beaten := beat(t, a, "c")
	eventually(t, "a heartbeat has just been", func() bool { return beat(t, a, "c").After(beaten) })
	start := beat(t, a, "c")
	p.hold()
	_, err := nc.Request("$KV.sessions_nodes.gone_1", []byte(`{"node":"gone","dead":true,"by":"`+reaper+`"}`), patience)
	require.NoError(t, err)
	for time.Since(start) < lease*3/4 {
		_, err := a.node.Lookup(t.Context(), "u0")
		if !errors.Is(err, cluster.ErrUnavailable) {
			require.ErrorIs(t, err, cluster.ErrNotFound, "it does not count")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if isThere := last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s.u0") != ""; time.Since(start) < lease {
		require.True(t, isThere, "another node has deleted it, although the one that does lives")
	}
	eventually(t, "another node has taken over", func() bool {
		return last(t, nc, "KV_sessions_dir", "$KV.sessions_dir.s.u19") == "" &&
			last(t, nc, "KV_sessions_nodes", "$KV.sessions_nodes.gone_1") == ""
	})
	p.heal()
	eventually(t, "c is back", active(a, d, c))
}

// A list has read an entry, and before it comes to it the entry's node is declared dead, the
// entry is deleted and then the tombstone.
func TestList_LeavesOutADeadNodeWhoseTombstoneIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	type reader interface {
		List(context.Context, func(cluster.Entry) bool) error
		Nodes() []cluster.NodeInfo
	}
	for _, name := range []string{"node", "client"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := broker(t)
			a := join(t, newObserver(), "a", cluster.Config{URL: b.URL()})
			var r reader = a.node
			if name == "client" {
				r = open(t, cluster.ClientConfig{URL: b.URL()})
			}
			nc := b.connect(t)
			write := func(subject, value string) {
				t.Helper()
				_, err := nc.Request("$KV.sessions_"+subject, []byte(value), patience)
				require.NoError(t, err)
			}
			a.mustLogin("x")
			write("dir.s.y", `{"owner":"gone_1","node":"gone","token":5,"since":1}`)
			write("nodes.gone_1", `{"node":"gone","lease":60000}`)
			var ids []string
			require.NoError(t, r.List(within(t, patience), func(e cluster.Entry) bool {
				if ids = append(ids, e.ID); len(ids) == 1 {
					write("nodes.gone_1", `{"node":"gone","lease":60000,"dead":true,"by":"`+epoch(t, a, "a")+`"}`)
					eventually(t, "the tombstone is deleted", func() bool {
						return last(t, nc, "KV_sessions_nodes", "$KV.sessions_nodes.gone_1") == ""
					})
					write("nodes.later_1", `{"node":"later","lease":60000}`)
					eventually(t, "the reader has seen that", func() bool {
						return slices.ContainsFunc(r.Nodes(), func(n cluster.NodeInfo) bool { return n.Name == "later" })
					})
				}
				return true
			}))
			require.Equal(t, []string{"x"}, ids)
		})
	}
}
