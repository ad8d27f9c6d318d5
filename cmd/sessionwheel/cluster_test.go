package main

import (
	"bufio"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// clusterToken gives access to the brokers of the tests.
const clusterToken = "a-token-of-the-tests"

// node starts serve as a node on a broker that runs, and returns its address.
func node(t *testing.T, url, name string, args ...string) (p *consoletest.Process, addr string) {
	t.Helper()
	return serving(t, append([]string{"--cluster", url, "--cluster-token", clusterToken, "--node", name}, args...)...)
}

// firstNode is node with a broker of its own, whose URL it returns too.
func firstNode(t *testing.T, name string, args ...string) (p *consoletest.Process, addr, url string) {
	t.Helper()
	p, addr = node(t, ownBroker, name, append([]string{"--cluster-listen", "127.0.0.1:0"}, args...)...)
	return p, addr, p.Await(`msg=broker url=(nats://127\.0\.0\.1:\d+)`)
}

// guest is a connection whose lines are read one by one.
type guest struct {
	*client
	t  *testing.T
	in *bufio.Reader
}

func connectGuest(t *testing.T, addr string) *guest {
	t.Helper()
	c := connect(t, addr, "lines", nil)
	return &guest{c, t, bufio.NewReader(c)}
}

// ask sends a line and returns the next that comes.
func (g *guest) ask(line string) string {
	g.t.Helper()
	_, _, err := g.send([]byte(line))
	require.NoError(g.t, err)
	return g.hear()
}

func (g *guest) hear() string {
	g.t.Helper()
	require.NoError(g.t, g.SetReadDeadline(time.Now().Add(consoletest.Patience)))
	s, err := g.in.ReadString('\n')
	require.NoError(g.t, err)
	return strings.TrimSuffix(s, "\n")
}

// closed requires that the server closes the connection, and says nothing before.
func (g *guest) closed() {
	g.t.Helper()
	require.NoError(g.t, g.SetReadDeadline(time.Now().Add(consoletest.Patience)))
	s, err := g.in.ReadString('\n')
	require.True(g.t, closedByPeer(err), "%q %v", s, err)
	require.Empty(g.t, s)
}

func TestALoginOnAnotherNodeTakesOverAndTheFirstSessionEndsReplaced(t *testing.T) {
	t.Parallel()
	a, addrA, url := firstNode(t, "a")
	b, addrB := node(t, url, "b")
	first := connectGuest(t, addrA)
	require.Equal(t, "ok", first.ask("login ann"))
	require.Equal(t, "hello", first.ask("hello"))

	second := connectGuest(t, addrB)
	require.Equal(t, "ok", second.ask("login ann"))
	first.closed()
	a.Await(`msg="session closed" name=ann session=1 .*reason=Replaced`)
	require.Equal(t, "still here", second.ask("still here"))

	// And on the same node.
	third := connectGuest(t, addrB)
	require.Equal(t, "ok", third.ask("login ann"))
	second.closed()
	b.Await(`msg="session closed" name=ann session=1 .*reason=Replaced`)
	require.Equal(t, 1, strings.Count(a.Logged(), "session closed"))

	b.Signal(syscall.SIGTERM)
	third.closed()
	require.Zero(t, b.Wait(), b.Logged())
	require.Contains(t, b.Logged(), "msg=stopped")
	require.NotRegexp(t, `lease lost|declared dead|did not leave`, b.Logged())

	// It has left: the name is free at once, and not after a lease.
	o := consoletest.Run(t, "cluster", "where", "ann", "--cluster", url, "--cluster-token", clusterToken)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, "no session ann")
	require.Regexp(t, `^a\t\d\ta_\w+\n$`, asking(t, url, "nodes").Prints(t))
	require.Equal(t, "ok", connectGuest(t, addrA).ask("login ann"))
	a.Signal(syscall.SIGTERM)
	require.Zero(t, a.Wait(), a.Logged())
}

func TestALoginIsAFirstMessageAndCanBeTriedAgainAfterAnError(t *testing.T) {
	t.Parallel()
	_, addr, _ := firstNode(t, "a", "--idle", "1m")
	g := connectGuest(t, addr)
	require.Regexp(t, `^error: .*login NAME`, g.ask("login"))
	require.Regexp(t, `^error: .*login NAME`, g.ask("login  "))
	require.Regexp(t, `^error: .*login NAME`, g.ask("login a\x1b[31mb"))
	require.Regexp(t, `^error: .*1 to 1024`, g.ask("login "+strings.Repeat("x", 2000)))
	require.Equal(t, "ok", g.ask("login  Ann of Green Gables "))
	require.Equal(t, "login bob", g.ask("login bob"), "it has a name")

	g = connectGuest(t, addr)
	require.Equal(t, "hello", g.ask("hello"))
	require.Equal(t, "login ann", g.ask("login ann"), "it is not the first message")

	g = connectGuest(t, addr)
	require.Equal(t, "logins are fun", g.ask("logins are fun"))
}

func TestWithoutAClusterALoginIsAMessageLikeOthers(t *testing.T) {
	t.Parallel()
	_, addr := serving(t)
	require.Equal(t, "login ann", connectGuest(t, addr).ask("login ann"))
}

func TestWrongClusterFlagsAreOneLineThatNamesTheFlagAndTheFix(t *testing.T) {
	on := func(args ...string) []string {
		return append([]string{"serve", "--cluster", "nats://127.0.0.1:4222", "--node", "a"}, args...)
	}
	own := func(args ...string) []string {
		return append([]string{"serve", "--cluster", "embedded", "--node", "a"}, args...)
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"serve", "--node", "a"}, []string{"--node needs --cluster", "serve --help"}},
		{[]string{"serve", "--lease", "9s"}, []string{"--lease needs --cluster"}},
		{[]string{"serve", "--replicas", "3"}, []string{"--replicas needs --cluster"}},
		{[]string{"serve", "--on-lease-lost", "fence"}, []string{"--on-lease-lost needs --cluster"}},
		{[]string{"serve", "--degraded-login", "allow"}, []string{"--degraded-login needs --cluster"}},
		{[]string{"serve", "--cluster-storage", "memory"}, []string{"--cluster-storage needs --cluster"}},
		{[]string{"serve", "--cluster-listen", "127.0.0.1:0"}, []string{"--cluster-listen needs --cluster"}},
		{[]string{"serve", "--cluster", "embedded"}, []string{"--cluster", "SESSIONWHEEL_CLUSTER", "needs --node NAME"}},
		{[]string{"serve", "--cluster", "here", "--node", "a"}, []string{"--cluster must be nats://HOST:PORT", `"here"`}},
		{[]string{"serve", "--cluster", "nats://a,http://b", "--node", "a"}, []string{"--cluster must be nats://HOST:PORT", "http://b"}},
		{on("--replicas", "2"), []string{`--replicas must be one of "1","3","5"`}},
		{on("--on-lease-lost", "drop"), []string{"--on-lease-lost must be one of", "keep", "fence"}},
		{on("--degraded-login", "maybe"), []string{"--degraded-login must be one of", "refuse", "allow"}},
		{on("--on-lease-lost", "fence", "--degraded-login", "allow"), []string{"--degraded-login allow", "--on-lease-lost fence", "one of them"}},
		{on("--cluster-storage", "disk"), []string{"--cluster-storage must be one of", "file", "memory"}},
		{on("--cluster-creds", "/no/such/file"), []string{"--cluster-creds", "no such file"}},
		{on("--cluster-token", "x", "--cluster-creds", "/dev/null"), []string{"--cluster-token and --cluster-creds"}},
		{on("--cluster-timeout", "0s"), []string{"--cluster-timeout must be more than 0"}},
		{on("--cluster-listen", "127.0.0.1:0"), []string{"--cluster-listen needs --cluster embedded"}},
		{on("--cluster-dir", "/tmp"), []string{"--cluster-dir needs --cluster embedded"}},
		{on("--node", "a b"), []string{`--node is "a b"`, "A-Z, a-z, 0-9"}},
		{on("--cluster-namespace", "a.b"), []string{`--cluster-namespace is "a.b"`, "A-Z, a-z, 0-9"}},
		{on("--lease", "5s"), []string{"--lease is 5s", "at least 6s"}},
		{on("--lease=-7s"), []string{"--lease is -7s", "at least 6s"}},
		{on("--lease", "2h"), []string{"--lease is 2h0m0s", "at most 1h0m0s"}},
		{on("--lease", "6500ms"), []string{"--lease is 6.5s", "whole seconds"}},
		{own("--replicas", "3"), []string{"--replicas must be 1 with --cluster embedded"}},
		{own("--cluster-storage", "memory", "--cluster-dir", "/tmp"), []string{"--cluster-dir is for --cluster-storage file"}},
		{own("--cluster-ca", "/dev/null"), []string{"--cluster-ca", "--cluster-token"}},
		{[]string{"cluster", "ls"}, []string{"--cluster is missing", "nats://127.0.0.1:4222", "sessionwheel cluster ls --help"}},
		{[]string{"cluster", "ls", "--cluster", "embedded"}, []string{"--cluster embedded is for serve"}},
		{[]string{"cluster", "where", "--cluster", "nats://a"}, []string{"<name>", "cluster where --help"}},
		{[]string{"cluster", "kick", "ann", "--cluster", "nats://a", "--reason", ""}, []string{"--reason must be"}},
		{[]string{"cluster", "where", "ann", "--cluster", "nats://s3cret@a:b:c"}, []string{"--cluster must be", "nats://a:b:c"}},
		{[]string{"demo", "--nodes", "1"}, []string{"--nodes must be from 2 to 9", "demo --help"}},
		{[]string{"demo", "--nodes", "3", "--http", "0"}, []string{"--http does not go with --nodes"}},
	} {
		o := consoletest.Parse(program(), tt.args...)
		require.Equal(t, console.ExitUsage, o.Status, "%v: %s", tt.args, o.Err)
		o.OneErrorLine(t, tt.want...)
		require.NotContains(t, o.Err, "s3cret")
	}
}

func TestServesHelpTellsOfLeasesAndOfHealth(t *testing.T) {
	t.Parallel()
	o := consoletest.Run(t, "serve", "--help")
	help := strings.Join(strings.Fields(o.Prints(t)), " ")
	for _, want := range []string{
		`--on-lease-lost="keep"`, `--degraded-login="refuse"`, `--cluster-storage="file"`, "--replicas=1", "($SESSIONWHEEL_CLUSTER)", "($SESSIONWHEEL_CLUSTER_TOKEN)",
		"Serve /healthz, with --http: 200, and 503 once the server drains, or while it is a node that has lost its lease and refuses logins.",
	} {
		require.Contains(t, help, want)
	}
}

func TestAFlagThatTheClusterRefusesIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want []string }{
		{[]string{"--cluster-listen", "4222"}, []string{"--cluster-listen", "missing port"}},
		{[]string{"--cluster-listen", "0.0.0.0:0"}, []string{"--cluster-listen", "other machines", "--cluster-token"}},
		{[]string{"--cluster-dir", "/dev/null/dir"}, []string{"--cluster-dir", "/dev/null"}},
	} {
		o := tried(t, append([]string{"--cluster", "embedded"}, tt.args...)...)
		o.OneErrorLine(t, tt.want...)
		require.NotContains(t, o.Err, "Config")
	}
}

func TestABrokerThatIsNotThereOrRefusesIsOneLineThatNamesItAndTheFix(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer free.Close()
	taken := free.Addr().String()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "nats://user:s3cret@" + gone.Addr().String()
	require.NoError(t, gone.Close())

	for _, args := range [][]string{
		{"serve", "--addr", "127.0.0.1:0", "--node", "a", "--cluster", nobody, "--cluster-timeout", "300ms"},
		{"cluster", "ls", "--cluster", nobody, "--cluster-timeout", "300ms"},
	} {
		o := consoletest.Run(t, args...)
		require.Equal(t, console.ExitRuntime, o.Status, o.Err)
		o.OneErrorLine(t, "no broker at --cluster nats://"+gone.Addr().String(), "--cluster-timeout 300ms", "serve --cluster embedded")
		require.NotContains(t, o.Err, "s3cret")
	}
	tried(t, "--cluster", "embedded", "--cluster-listen", taken).OneErrorLine(t, "--cluster embedded", "--cluster-listen", taken, "in use")

	_, _, url := firstNode(t, "a")
	there := []string{"--cluster", url, "--cluster-token", clusterToken}
	o := consoletest.Run(t, "cluster", "ls", "--cluster", url, "--cluster-token", "wrong")
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, url, "refuses access with this --cluster-token")
	require.NotContains(t, o.Err, "wrong")
	tried(t, append(there, "--replicas", "3")...).OneErrorLine(t, url, "--replicas is 3", "standalone", "use 1")
	tried(t, append(there, "--cluster-storage", "memory")...).OneErrorLine(t, url, "--cluster-storage is Memory", "has File", "the same")
	for range 2 { // it is not made by the first look
		o = consoletest.Run(t, append([]string{"cluster", "ls", "--cluster-namespace", "typo"}, there...)...)
		require.Equal(t, console.ExitRuntime, o.Status)
		o.OneErrorLine(t, "--cluster-namespace typo", "no node has ever joined")
	}
}

func TestASignalEndsAServerThatWaitsForItsBroker(t *testing.T) {
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
