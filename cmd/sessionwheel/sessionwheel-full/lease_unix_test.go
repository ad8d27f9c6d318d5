//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

// The broker stands still for longer than the lease of three nodes, of which each
// deals with that in another way.
func TestLease_WithoutOneSessionsAndLoginsFareAsTheFlagsSay(t *testing.T) {
	t.Parallel()
	broker, url := launchBroker(t, lone(t, ""))
	join := func(args ...string) (p *consoletest.Process, page, addr string) {
		p, addr = servetest.Start(t, append([]string{"--http", "0", "--metrics", "--cluster", url, "--lease", "9s"}, args...)...)
		return p, servetest.Page(p), addr
	}
	keep, keepPage, keepAddr := join("--node", "keep")
	allow, allowPage, allowAddr := join("--node", "allow", "--degraded-login", "allow")
	fence, fencePage, fenceAddr := join("--node", "fence", "--on-lease-lost", "fence", "--degraded-login", "refuse")
	ann, bob, cid := servetest.ConnectPeer(t, keepAddr), servetest.ConnectPeer(t, allowAddr), servetest.ConnectPeer(t, fenceAddr)
	logIn(t, ann, "ann")
	logIn(t, bob, "bob")
	logIn(t, cid, "cid")
	nameless := servetest.ConnectPeer(t, fenceAddr)
	require.Equal(t, "hello", nameless.Ask("hello"))
	for _, page := range []string{keepPage, allowPage, fencePage} {
		servetest.Healthy(t, page, 200, "ok")
		measured(t, page, "active 1", "nodes 3", "sessions 3")
	}

	broker.Signal(syscall.SIGSTOP)
	for _, p := range []*consoletest.Process{keep, allow, fence} {
		p.Await(`level=WARN msg="lease lost"`)
	}
	servetest.Healthy(t, keepPage, 503, "isolated")
	servetest.Healthy(t, allowPage, 200, "isolated")
	servetest.Healthy(t, fencePage, 503, "isolated")
	for _, page := range []string{keepPage, allowPage, fencePage} {
		measured(t, page, "active 0", "nodes 3")
	}
	cid.Closed()
	fence.Await(`name=cid .*reason=LeaseLost`)
	require.Equal(t, "still here", nameless.Ask("still here"), "it has no name that another could take")
	require.Equal(t, "still here", ann.Ask("still here"))
	require.Equal(t, "still here", bob.Ask("still here"))
	require.Equal(t, "error: cluster: node has no lease", servetest.ConnectPeer(t, keepAddr).Ask("login dan"))
	require.Equal(t, "error: cluster: node has no lease", servetest.ConnectPeer(t, fenceAddr).Ask("login dan"))
	second := servetest.ConnectPeer(t, allowAddr)
	require.Equal(t, "ok", second.Ask("login ann"))

	broker.Signal(syscall.SIGCONT)
	for _, page := range []string{keepPage, allowPage, fencePage} {
		servetest.Healthy(t, page, 200, "ok")
		measured(t, page, "active 1")
	}
	ann.Closed() // the later login has the name
	keep.Await(`name=ann session=1 .*reason=Replaced`)
	require.Equal(t, "still here", second.Ask("still here"))
	logIn(t, servetest.ConnectPeer(t, fenceAddr), "cid")
}

// measured waits until a node's metrics of the cluster are as said.
func measured(t *testing.T, page string, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, body := servetest.Get(t, page+"metrics")
		for _, w := range want {
			if !strings.Contains(body, "\nsessionwheel_cluster_"+w+"\n") {
				return false
			}
		}
		return true
	}, consoletest.Patience, 50*time.Millisecond, "the metrics never were %v", want)
}
