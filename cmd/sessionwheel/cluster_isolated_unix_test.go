//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// The broker stands still for longer than the lease of three nodes, of which each
// deals with that in another way.
func TestWhatBecomesOfSessionsAndLoginsWithoutALeaseIsAsTheFlagsSay(t *testing.T) {
	t.Parallel()
	broker, url := launchBroker(t, lone(t, ""))
	join := func(args ...string) (p *consoletest.Process, page, addr string) {
		p, addr = serving(t, append([]string{"--http", "0", "--cluster", url, "--lease", "9s"}, args...)...)
		return p, pageOf(p), addr
	}
	keep, keepPage, keepAddr := join("--node", "keep")
	allow, allowPage, allowAddr := join("--node", "allow", "--degraded-login", "allow")
	fence, fencePage, fenceAddr := join("--node", "fence", "--on-lease-lost", "fence", "--degraded-login", "refuse")
	ann, bob, cid := connectGuest(t, keepAddr), connectGuest(t, allowAddr), connectGuest(t, fenceAddr)
	ann.logIn("ann")
	bob.logIn("bob")
	cid.logIn("cid")
	nameless := connectGuest(t, fenceAddr)
	require.Equal(t, "hello", nameless.ask("hello"))
	for _, page := range []string{keepPage, allowPage, fencePage} {
		healthy(t, page, 200, "ok")
		measured(t, page, "active 1", "nodes 3", "sessions 3")
	}

	broker.Signal(syscall.SIGSTOP)
	for _, p := range []*consoletest.Process{keep, allow, fence} {
		p.Await(`level=WARN msg="lease lost"`)
	}
	healthy(t, keepPage, 503, "isolated")
	healthy(t, allowPage, 200, "isolated")
	healthy(t, fencePage, 503, "isolated")
	for _, page := range []string{keepPage, allowPage, fencePage} {
		measured(t, page, "active 0", "nodes 3")
	}
	cid.closed()
	fence.Await(`name=cid .*reason=LeaseLost`)
	require.Equal(t, "still here", nameless.ask("still here"), "it has no name that another could take")
	require.Equal(t, "still here", ann.ask("still here"))
	require.Equal(t, "still here", bob.ask("still here"))
	require.Equal(t, "error: cluster: node has no lease", connectGuest(t, keepAddr).ask("login dan"))
	require.Equal(t, "error: cluster: node has no lease", connectGuest(t, fenceAddr).ask("login dan"))
	second := connectGuest(t, allowAddr)
	require.Equal(t, "ok", second.ask("login ann"))

	broker.Signal(syscall.SIGCONT)
	for _, page := range []string{keepPage, allowPage, fencePage} {
		healthy(t, page, 200, "ok")
		measured(t, page, "active 1")
	}
	ann.closed() // the later login has the name
	keep.Await(`name=ann session=1 .*reason=Replaced`)
	require.Equal(t, "still here", second.ask("still here"))
	connectGuest(t, fenceAddr).logIn("cid")
}

// measured waits until a node's metrics of the cluster are as said.
func measured(t *testing.T, page string, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, body := get(t, page+"metrics")
		for _, w := range want {
			if !strings.Contains(body, "\nsessionwheel_cluster_"+w+"\n") {
				return false
			}
		}
		return true
	}, consoletest.Patience, 50*time.Millisecond, "the metrics never were %v", want)
}
