package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

// clusterView and clusterFound are what the page is told of a cluster.
type (
	clusterView struct {
		State    string
		Sessions int
		Nodes    []struct {
			Name, Incarnation string
			Sessions          int
			This              bool
			Silent            float64 `json:"silent_seconds"`
		}
	}
	clusterFound struct {
		Cut      string
		Sessions []struct {
			ID, Node, Metadata string
			Key, Generation    string
			Since              time.Time
		}
	}
)

// told is what the page's API answers.
func told[T any](t *testing.T, url string) (answer T) {
	t.Helper()
	status, body := servetest.Get(t, url)
	require.Equal(t, 200, status, body)
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	return answer
}

func TestPage_OfANodeShowsTheClusterAndClosesItsSessions(t *testing.T) {
	t.Parallel()
	a, addrA, url := firstNode(t, "a", "--http", "0", "--http-close")
	_, addrB := startNode(t, url, "b")
	page := servetest.Page(a)
	ann, bob := servetest.ConnectPeer(t, addrA), servetest.ConnectPeer(t, addrB)
	began := time.Now()
	require.Equal(t, "ok", ann.Ask("login ann <b>"))
	require.Equal(t, "ok", bob.Ask("login bob"))

	require.True(t, told[struct{ Cluster bool }](t, page+"api/stats").Cluster)
	var view clusterView
	require.Eventually(t, func() bool { // b's count comes with its next heartbeat
		view = told[clusterView](t, page+"api/cluster")
		return len(view.Nodes) == 2 && view.Sessions == 2
	}, consoletest.Patience, 100*time.Millisecond)
	require.Equal(t, "Active", view.State)
	for i, name := range []string{"a", "b"} {
		n := view.Nodes[i]
		require.Equal(t, []any{name, 1, name == "a"}, []any{n.Name, n.Sessions, n.This})
		require.True(t, strings.HasPrefix(n.Incarnation, name+"_"), n.Incarnation)
	}

	mine := told[clusterFound](t, page+"api/cluster/sessions?q=ann+%3Cb%3E")
	require.Len(t, mine.Sessions, 1)
	require.Equal(t, []string{"ann <b>", "a", ann.LocalAddr().String()}, []string{mine.Sessions[0].ID, mine.Sessions[0].Node, mine.Sessions[0].Metadata})
	require.WithinRange(t, mine.Sessions[0].Since, began.Add(-time.Second), time.Now().Add(time.Second))
	part := told[clusterFound](t, page+"api/cluster/sessions?q=o")
	require.Len(t, part.Sessions, 1)
	require.Equal(t, []string{"bob", "b"}, []string{part.Sessions[0].ID, part.Sessions[0].Node})
	all := told[clusterFound](t, page+"api/cluster/sessions")
	require.Len(t, all.Sessions, 2)
	require.Empty(t, all.Cut)
	require.Len(t, told[clusterFound](t, page+"api/cluster/sessions?limit=1").Sessions, 1)
	require.Empty(t, told[clusterFound](t, page+"api/cluster/sessions?q=nobody").Sessions)

	kick := page + "api/cluster/sessions/" + part.Sessions[0].Key + "?generation=" + part.Sessions[0].Generation
	status, body := servetest.Get(t, kick+"0", servetest.AsDelete, servetest.WithToken(servetest.Token(a)))
	require.Equal(t, 404, status, "another login of the same name: %s", body)
	status, body = servetest.Get(t, kick+"&reason=Enough", servetest.AsDelete, servetest.WithToken(servetest.Token(a)))
	require.Equal(t, 200, status, body)
	bob.Closed()
	status, body = servetest.Get(t, kick, servetest.AsDelete, servetest.WithToken(servetest.Token(a)))
	require.Equal(t, 404, status, body)
	require.Equal(t, "still here", ann.Ask("still here"))
	require.Len(t, told[clusterFound](t, page+"api/cluster/sessions").Sessions, 1)
}

func TestPage_ShowsThatANodeHasDiedBeforeItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	a, _, url := firstNode(t, "a", "--http", "0", "--lease", "15s")
	b, _ := startNode(t, url, "b", "--lease", "15s")
	page := servetest.Page(a)
	require.Eventually(t, func() bool { return len(told[clusterView](t, page+"api/cluster").Nodes) == 2 }, consoletest.Patience, 50*time.Millisecond)
	for _, n := range told[clusterView](t, page+"api/cluster").Nodes {
		require.Zero(t, n.Silent, n.Name)
	}
	b.Signal(syscall.SIGKILL)
	began := time.Now()
	var view clusterView
	require.Eventually(t, func() bool {
		view = told[clusterView](t, page+"api/cluster")
		return len(view.Nodes) == 2 && view.Nodes[1].Silent > 0
	}, 15*time.Second, 50*time.Millisecond, "the lease is fifteen seconds")
	t.Logf("after %v", time.Since(began))
	require.GreaterOrEqual(t, view.Nodes[1].Silent, 7.5)
	require.Zero(t, view.Nodes[0].Silent)
}

func TestPage_OfANodeGoesOnWithoutTheBroker(t *testing.T) {
	t.Parallel()
	first, _, url := firstNode(t, "a")
	p, addr := startNode(t, url, "b", "--http", "0", "--lease", "15s")
	page := servetest.Page(p)
	require.Equal(t, "ok", servetest.ConnectPeer(t, addr).Ask("login ann"))
	require.Len(t, told[clusterFound](t, page+"api/cluster/sessions?q=ann").Sessions, 1)
	first.Signal(syscall.SIGTERM)
	require.Zero(t, first.Wait(), first.Logged())
	for _, query := range []string{"", "?q=ann"} {
		status, body := servetest.Get(t, page+"api/cluster/sessions"+query)
		require.Equal(t, 503, status, body)
		require.Contains(t, body, "cannot be reached")
	}
	require.Eventually(t, func() bool { return told[clusterView](t, page+"api/cluster").State == "Isolated" }, consoletest.Patience, 100*time.Millisecond)
	for _, path := range []string{"", "api/stats", "api/sessions"} {
		status, body := servetest.Get(t, page+path)
		require.Equal(t, 200, status, body)
	}
	status, body := servetest.Get(t, page+"api/cluster/sessions/x616e6e?generation=1", servetest.AsDelete)
	require.Equal(t, 403, status, body)
	require.Contains(t, body, "read-only")
}

func TestPage_OfAServerAloneShowsNoCluster(t *testing.T) {
	t.Parallel()
	p, _ := servetest.Start(t, "--http", "0")
	page := servetest.Page(p)
	require.False(t, told[struct{ Cluster bool }](t, page+"api/stats").Cluster)
	for _, path := range []string{"api/cluster", "api/cluster/sessions"} {
		status, body := servetest.Get(t, page+path)
		require.Equal(t, 404, status)
		require.Contains(t, body, "in no cluster")
	}
}
