package main

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// clusterToken gives access to the brokers of the tests.
const clusterToken = "a-token-of-the-tests"

// tokenFile returns a file with the token.
func tokenFile(t *testing.T) string {
	t.Helper()
	return written(t, "token", clusterToken+"\n")
}

// startNode starts serve as a node on a broker that runs, and returns its address. Its
// lease is long, so that it does not lose it on a slow machine.
func startNode(t *testing.T, url, name string, args ...string) (p *consoletest.Process, addr string) {
	t.Helper()
	return servetest.Start(t, append([]string{"--cluster", url, "--cluster-token-file", tokenFile(t), "--node", name, "--lease", "30s"}, args...)...)
}

// firstNode is startNode with a broker of its own, whose URL it returns too.
func firstNode(t *testing.T, name string, args ...string) (p *consoletest.Process, addr, url string) {
	t.Helper()
	p, addr = startNode(t, flags.OwnBroker, name, append([]string{"--cluster-listen", "127.0.0.1:0"}, args...)...)
	return p, addr, p.Await(`msg=broker url=(nats://127\.0\.0\.1:\d+)`)
}

func TestLogin_OnAnotherNodeTakesOverAndTheFirstSessionEndsReplaced(t *testing.T) {
	t.Parallel()
	a, addrA, url := firstNode(t, "a")
	b, addrB := startNode(t, url, "b")
	first := servetest.ConnectPeer(t, addrA)
	require.Equal(t, "ok", first.Ask("login ann"))
	require.Equal(t, "hello", first.Ask("hello"))

	second := servetest.ConnectPeer(t, addrB)
	require.Equal(t, "ok", second.Ask("login ann"))
	first.Closed()
	a.Await(`msg="session closed" name=ann session=1 .*reason=Replaced`)
	require.Equal(t, "still here", second.Ask("still here"))

	// And on the same node.
	third := servetest.ConnectPeer(t, addrB)
	require.Equal(t, "ok", third.Ask("login ann"))
	second.Closed()
	b.Await(`msg="session closed" name=ann session=1 .*reason=Replaced`)
	require.Equal(t, 1, strings.Count(a.Logged(), "session closed"))

	b.Signal(syscall.SIGTERM)
	third.Closed()
	require.Zero(t, b.Wait(), b.Logged())
	require.Contains(t, b.Logged(), "msg=stopped")
	require.NotRegexp(t, `lease lost|declared dead|did not leave`, b.Logged())

	// It has left: the name is free at once, and not after a lease.
	o := consoletest.Run(t, "cluster", "where", "ann", "--cluster", url, "--cluster-token-file", tokenFile(t))
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, "no session ann")
	require.Regexp(t, `^a\t\d\ta_\w+\n$`, asking(t, url, "nodes").Prints(t))
	require.Equal(t, "ok", servetest.ConnectPeer(t, addrA).Ask("login ann"))
	a.Signal(syscall.SIGTERM)
	require.Zero(t, a.Wait(), a.Logged())
}

func TestLogin_IsAFirstMessageAndCanBeTriedAgainAfterAnError(t *testing.T) {
	t.Parallel()
	_, addr, _ := firstNode(t, "a", "--idle", "1m")
	g := servetest.ConnectPeer(t, addr)
	require.Regexp(t, `^error: .*login NAME`, g.Ask("login"))
	require.Regexp(t, `^error: .*login NAME`, g.Ask("login  "))
	require.Regexp(t, `^error: .*login NAME`, g.Ask("login a\x1b[31mb"))
	require.Regexp(t, `^error: .*1 to 1024`, g.Ask("login "+strings.Repeat("x", 2000)))
	require.Equal(t, "ok", g.Ask("login  Ann of Green Gables "))
	require.Equal(t, "login bob", g.Ask("login bob"), "it has a name")

	g = servetest.ConnectPeer(t, addr)
	require.Equal(t, "hello", g.Ask("hello"))
	require.Equal(t, "login ann", g.Ask("login ann"), "it is not the first message")

	g = servetest.ConnectPeer(t, addr)
	require.Equal(t, "logins are fun", g.Ask("logins are fun"))
}

func TestLogin_IsAMessageLikeOthersWithoutACluster(t *testing.T) {
	t.Parallel()
	_, addr := servetest.Start(t)
	require.Equal(t, "login ann", servetest.ConnectPeer(t, addr).Ask("login ann"))
}

func TestUsage_WrongNamesAndLeasesAreOneLineThatNamesTheFlag(t *testing.T) {
	on := func(args ...string) []string {
		return append([]string{"serve", "--cluster", "nats://127.0.0.1:4222", "--node", "a"}, args...)
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{on("--node", "a b"), []string{`--node is "a b"`, "A-Z, a-z, 0-9"}},
		{on("--cluster-namespace", "a.b"), []string{`--cluster-namespace is "a.b"`, "A-Z, a-z, 0-9"}},
		{on("--lease", "5s"), []string{"--lease is 5s", "at least 6s"}},
		{on("--lease=-7s"), []string{"--lease is -7s", "at least 6s"}},
		{on("--lease", "2h"), []string{"--lease is 2h0m0s", "at most 1h0m0s"}},
		{on("--lease", "6500ms"), []string{"--lease is 6.5s", "whole seconds"}},
		{[]string{"demo", "--nodes", "1"}, []string{"--nodes must be from 2 to 9", "demo --help"}},
	} {
		o := consoletest.Parse(program(), tt.args...)
		require.Equal(t, console.ExitUsage, o.Status, "%v: %s", tt.args, o.Err)
		o.OneErrorLine(t, tt.want...)
	}
}

func TestNode_AFlagThatTheClusterRefusesIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want []string }{
		{[]string{"--cluster-listen", "4222"}, []string{"--cluster-listen", "missing port"}},
		{[]string{"--cluster-listen", "0.0.0.0:0"}, []string{"--cluster-listen", "other machines", "--cluster-token-file"}},
		{[]string{"--cluster-dir", "/dev/null/dir"}, []string{"--cluster-dir", "/dev/null"}},
	} {
		o := tried(t, append([]string{"--cluster", "embedded"}, tt.args...)...)
		o.OneErrorLine(t, tt.want...)
		require.NotContains(t, o.Err, "Config")
	}
}

func TestBroker_ThatIsNotThereOrRefusesIsOneLineThatNamesItAndTheFix(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer free.Close()
	taken := free.Addr().String()
	gone, err := loopback.Addrs(1)
	require.NoError(t, err)
	nobody := "SESSIONWHEEL_CLUSTER=nats://user:s3cret@" + gone[0]

	for _, args := range [][]string{
		{"serve", "--addr", "127.0.0.1:0", "--node", "a", "--cluster-timeout", "300ms"},
		{"cluster", "ls", "--cluster-timeout", "300ms"},
	} {
		cmd := consoletest.Command(t, args...)
		cmd.Env = append(cmd.Env, nobody)
		o := consoletest.End(t, cmd)
		require.Equal(t, console.ExitRuntime, o.Status, o.Err)
		o.OneErrorLine(t, "no broker at --cluster nats://"+gone[0], "--cluster-timeout 300ms", "serve --cluster embedded")
		require.NotContains(t, o.Err, "s3cret")
	}
	tried(t, "--cluster", "embedded", "--cluster-listen", taken).OneErrorLine(t, "--cluster embedded", "--cluster-listen", taken, "in use")

	_, _, url := firstNode(t, "a")
	there := []string{"--cluster", url, "--cluster-token-file", tokenFile(t)}
	o := consoletest.Run(t, "cluster", "ls", "--cluster", url, "--cluster-token-file", written(t, "wrong", "wrong"))
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, url, "refuses access with the token in --cluster-token-file")
	tried(t, append(there, "--replicas", "3")...).OneErrorLine(t, url, "--replicas is 3", "standalone", "use 1")
	tried(t, append(there, "--cluster-storage", "memory")...).OneErrorLine(t, url, "--cluster-storage is Memory", "has File", "the same")
	for range 2 { // it is not made by the first look
		o = consoletest.Run(t, append([]string{"cluster", "ls", "--cluster-namespace", "typo"}, there...)...)
		require.Equal(t, console.ExitRuntime, o.Status)
		o.OneErrorLine(t, "--cluster-namespace typo", "no node has ever joined")
	}
}

func TestNode_ASignalEndsItWhileItWaitsForItsBroker(t *testing.T) {
	t.Parallel()
	// It takes connections and says nothing.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer mute.Close()
	p := consoletest.Launch(t, "serve", "--addr", "127.0.0.1:0", "--node", "a", "--cluster", "nats://"+mute.Addr().String(), "--cluster-timeout", "1h")
	c, err := mute.Accept()
	require.NoError(t, err)
	defer c.Close()
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait(), p.Logged())
	require.Contains(t, p.Logged(), "msg=stopped")
	require.NotContains(t, p.Logged(), "listening")
}

func TestNode_WarnsOfAnotherNodeOfItsName(t *testing.T) {
	t.Parallel()
	first, _, url := firstNode(t, "a")
	second, _ := startNode(t, url, "a")
	second.Await(`level=WARN msg="the cluster has another node of this name.* node=a incarnation=a_\w+ sessions=0`)
	third, _ := startNode(t, url, "b")
	third.Await("listening")
	for _, p := range []*consoletest.Process{first, third} {
		require.NotContains(t, p.Logged(), "another node of this name")
	}
}

func TestNode_FindsItsPortsTakenBeforeItJoins(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	addr := taken.Addr().String()
	for _, args := range [][]string{{"--addr", addr}, {"--addr", "127.0.0.1:0", "--http", addr}} {
		o := consoletest.Run(t, append([]string{"serve", "--cluster", flags.OwnBroker, "--node", "a", "--log-level", "error"}, args...)...)
		require.Equal(t, console.ExitRuntime, o.Status)
		o.OneErrorLine(t, addr, "in use") // and no line of a broker or of a cluster
	}
}
