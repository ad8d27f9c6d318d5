package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// survivor is a node that knows the node gone to be dead, whose tombstone was deleted. Its lease
// is longer than any test waits.
type survivor struct {
	*site
	nc *nats.Conn // to the broker
}

// outlive starts a survivor, which has compared the directory with its sessions.
func outlive(t *testing.T, b *childBroker, url string) survivor {
	t.Helper()
	var log logged
	c := cluster.Config{URL: url, LeaseTTL: 10 * patience, Logger: log.logger()}
	s := survivor{join(t, newObserver(), "a", c), b.connect(t)}
	// The first one reads the whole directory.
	eventually(t, "the first reconciliation is over", func() bool {
		return strings.Contains(log.String(), "compared the directory with the sessions")
	})
	s.beat("gone")
	s.write("nodes.gone_1", `{"node":"gone","dead":true}`)
	eventually(t, "the tombstone is seen", func() bool { return !s.sees("gone") })
	m := nats.NewMsg("$KV.sessions_nodes.gone_1")
	m.Header.Set("KV-Operation", "PURGE")
	m.Header.Set("Nats-Rollup", "sub")
	_, err := s.nc.RequestMsg(m, patience)
	require.NoError(t, err)
	s.beat("later") // seen after that
	return s
}

func (s survivor) write(subject, value string) {
	s.t.Helper()
	_, err := s.nc.Request("$KV.sessions_"+subject, []byte(value), patience)
	require.NoError(s.t, err)
}

// beat writes a heartbeat of another node, and waits until it is seen.
func (s survivor) beat(name string) {
	s.t.Helper()
	s.write("nodes."+name+"_1", fmt.Sprintf(`{"node":%q,"lease":3600000}`, name))
	eventually(s.t, name+" is seen", func() bool { return s.sees(name) })
}

func (s survivor) sees(name string) bool {
	return slices.ContainsFunc(s.node.Nodes(), func(n cluster.NodeInfo) bool { return n.Name == name })
}

// entry writes an entry of the node gone, with a token that is higher than all others.
func (s survivor) entry(id string) {
	s.t.Helper()
	s.write("dir.s."+id, `{"owner":"gone_1","node":"gone","token":9000000000000000000,"since":1}`)
}

// stored returns what the directory or the nodes' records have under a key.
func (s survivor) stored(t *testing.T, key string) string {
	t.Helper()
	bucket, _, _ := strings.Cut(key, ".")
	return last(t, s.nc, "KV_sessions_"+bucket, "$KV.sessions_"+key)
}

// A dead node's entry may be written late, or be back after the broker was killed.
func TestClaim_OfADeadNodesIDWaitsForNoLeaseAlsoWithoutATombstone(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := outlive(t, b, b.URL())
	s.entry("y")
	s.entry("z")
	s.mustLogin("y") // within less than a lease
	eventually(t, "the other entry is deleted, and then the new tombstone", func() bool {
		return s.stored(t, "dir.s.z") == "" && s.stored(t, "nodes.gone_1") == ""
	})
	require.Len(t, listed(t, s.site), 1)
	require.True(t, s.has("y"))
}

func TestReconcile_ADeadNodesEntryTakesNoSessionAlsoWithoutATombstone(t *testing.T) {
	t.Parallel()
	b := broker(t)
	p := between(t, b.URL())
	s := outlive(t, b, p.url())
	s.mustLogin("x")
	s.entry("x")
	p.heal() // it compares its sessions with the directory when it has connected again
	eventually(t, "the session has its entry again", func() bool {
		require.True(t, s.has("x"))
		return strings.Contains(s.stored(t, "dir.s.x"), epoch(t, s.site, "a"))
	})
	require.True(t, s.has("x"))
}

// A broker that was killed may have lost a tombstone with its last writes. The node that had
// been declared dead then renews its lease.
func TestView_ANodeWhoseTombstoneIsLostLives(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := outlive(t, b, b.URL())
	s.entry("y")
	_, err := s.node.Lookup(within(t, patience), "y")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	s.beat("gone")
	e, err := s.node.Lookup(within(t, patience), "y")
	require.NoError(t, err)
	require.Equal(t, "gone", e.Node)
	require.Len(t, listed(t, s.site), 1)
	s.mustWait(time.Second, "y")
}

// The revisions after such a loss may be lower than that of the tombstone.
func TestClaim_ANodeWhoseTombstoneIsLostKeepsItsSessions(t *testing.T) {
	t.Parallel()
	b := broker(t)
	p := between(t, b.URL())
	s := outlive(t, b, p.url())
	_, js := b.jetstream(t)
	ctx := within(t, patience)
	nodes, err := js.Stream(ctx, "KV_sessions_nodes")
	require.NoError(t, err)
	c := nodes.CachedInfo().Config
	c.FirstSeq = 1
	require.NoError(t, js.DeleteStream(ctx, c.Name))
	_, err = js.CreateStream(ctx, c)
	require.NoError(t, err)
	p.heal() // it renews its lease, and does not find the stream missing
	eventually(t, "the old stream's records are gone", func() bool { return !s.sees("later") })
	s.beat("gone")
	s.entry("y")
	s.mustWait(time.Second, "y")
	require.Contains(t, s.stored(t, "dir.s.y"), "gone_1")
}
