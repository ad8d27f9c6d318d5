package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

// manual is the code in a language of one part of docs/cluster.md.
func manual(t *testing.T, part, language string) (code string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/cluster.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n"+part+"\n")
	require.True(t, found, "the manual has no %q", part)
	rest, _, _ = strings.Cut(rest, "\n##")
	for _, block := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllStringSubmatch(rest, -1) {
		code += block[1]
	}
	require.NotEmpty(t, code)
	return code
}

// shell is the manual's commands, changed for the brokers of a test.
type shell struct {
	t                        *testing.T
	bin                      string // where the program is
	exports, serve, commands []string
}

func newShell(t *testing.T, urls [3]string, ca string) *shell {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	s := &shell{t: t, bin: t.TempDir()}
	require.NoError(t, os.Symlink(exe, filepath.Join(s.bin, "sessionwheel")))
	here := strings.NewReplacer("/etc/nats/ca.pem", ca, "0.0.0.0:7000", "127.0.0.1:0", "127.0.0.1:8080", "127.0.0.1:0",
		"broker-1:4222", strings.TrimPrefix(urls[0], "tls://"),
		"broker-2:4222", strings.TrimPrefix(urls[1], "tls://"),
		"broker-3:4222", strings.TrimPrefix(urls[2], "tls://"))
	for line := range strings.Lines(here.Replace(manual(t, "### With the program", "sh"))) {
		switch {
		case strings.HasPrefix(line, "export "):
			s.exports = append(s.exports, line)
		case strings.HasPrefix(line, "sessionwheel serve "):
			s.serve = append(s.serve, line)
		default:
			s.commands = append(s.commands, line)
		}
	}
	return s
}

// runs prepares a line. It has as much time as a slow machine needs.
func (s *shell) runs(line string) *exec.Cmd {
	s.t.Helper()
	cmd := consoletest.Command(s.t)
	cmd.Path = "/bin/sh"
	cmd.Args = []string{"sh", "-c", strings.Join(s.exports, "") + "exec " + strings.TrimSpace(line) + " --cluster-timeout " + consoletest.Patience.String()}
	cmd.Env = append(cmd.Env, "NODE_PASSWORD="+password, "PATH="+s.bin)
	return cmd
}

// The brokers are those of the manual, and so are the commands; the broker that is
// killed leads the directory's stream.
func TestManual_ItsCommandsWorkOnThreeBrokersAndTwoNodesGoOnWhenABrokerIsKilled(t *testing.T) {
	t.Parallel()
	cert, key, _ := servetest.SelfSigned(t)
	brokers, urls := launchManuals(t, manual(t, "## Running it", "hcl"), cert, key)
	sh := newShell(t, urls, cert)
	require.Len(t, sh.serve, 1)
	a, addrA := servetest.Listening(t, sh.runs(sh.serve[0]))
	b, addrB := servetest.Listening(t, sh.runs(strings.Replace(sh.serve[0], "--node a", "--node b", 1)))
	first := servetest.ConnectPeer(t, addrA)
	logIn(t, first, "ann")
	second := servetest.ConnectPeer(t, addrB)
	logIn(t, second, "ann")
	first.Closed()
	a.Await(`name=ann session=1 .*reason=Replaced`)

	want := []string{`^a\t\d\ta_\w+\nb\t\d\tb_\w+\n$`, `^ann\tb\t\S+\t\S+\n$`, `^ann\tb\t\S+\t\S+\n$`, `^sent\tann\n$`, `^kicked\tann\n$`}
	require.Len(t, sh.commands, len(want))
	for i, line := range sh.commands {
		o := consoletest.End(t, sh.runs(line))
		for strings.Contains(o.Err, "unavailable") {
			o = consoletest.End(t, sh.runs(line))
		}
		require.Regexp(t, want[i], o.Prints(t), line)
	}
	sent, err := io.ReadAll(second.In)
	require.NoError(t, err)
	require.Contains(t, string(sent), "closing at noon\n")
	b.Await(`name=ann session=1 .*reason=Spam`)
	servetest.Healthy(t, servetest.Page(a), 200, "ok")

	second = servetest.ConnectPeer(t, addrB)
	logIn(t, second, "ann")
	see := look(t, strings.Join(urls[:], ","), nats.RootCAs(cert), nats.UserInfo("node", password))
	require.NoError(t, brokers[see.leader()].Cmd.Process.Kill())
	require.Equal(t, "still here", second.Ask("still here"))
	third, fourth := servetest.ConnectPeer(t, addrA), servetest.ConnectPeer(t, addrA)
	logIn(t, third, "bob")
	logIn(t, fourth, "ann")
	second.Closed()
	b.Await(`name=ann session=2 .*reason=Replaced`)

	nodes := see.nodes()
	for start := time.Now(); len(nodes) < 2 && time.Since(start) < consoletest.Patience; nodes = see.nodes() {
		time.Sleep(50 * time.Millisecond) // a record that is written again amid a list is not in it
	}
	require.ElementsMatch(t, []string{"a", "b"}, nodes)
	b.Signal(syscall.SIGTERM)
	require.Zero(t, b.Wait(), b.Logged())
	require.Contains(t, b.Logged(), "msg=stopped")
	nodes = see.nodes()
	for start := time.Now(); len(nodes) < 1 && time.Since(start) < consoletest.Patience; nodes = see.nodes() {
		time.Sleep(50 * time.Millisecond)
	}
	require.Equal(t, []string{"a"}, nodes)
	a.Signal(syscall.SIGTERM)
	third.Closed()
	fourth.Closed()
	require.Zero(t, a.Wait(), a.Logged())
	require.Empty(t, see.nodes())
	require.NotRegexp(t, `lease lost|declared dead|`+password, a.Logged()+b.Logged())
}

// logIn logs in, again after an error such as while the brokers elect a leader.
func logIn(t *testing.T, g *servetest.Peer, name string) {
	t.Helper()
	var answer string
	for end := time.Now().Add(consoletest.Patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if answer = g.Ask("login " + name); answer == "ok" {
			return
		}
		require.Regexp(t, `^error: cluster: (unavailable|takeover timed out)`, answer)
	}
	require.FailNow(t, "no login in time", "%s", answer)
}

// looker reads at the brokers what no node has to say.
type looker struct {
	t  *testing.T
	js jetstream.JetStream
}

func look(t *testing.T, urls string, opts ...nats.Option) looker {
	t.Helper()
	nc, err := nats.Connect(urls, append(opts, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return looker{t, js}
}

// patiently asks until there is an answer.
func (l looker) patiently(ask func(context.Context) error) {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return ask(ctx) == nil
	}, consoletest.Patience, 50*time.Millisecond)
}

// leader is the broker, counted from 0, that leads the directory's stream.
func (l looker) leader() (i int) {
	l.t.Helper()
	l.patiently(func(ctx context.Context) error {
		s, err := l.js.Stream(ctx, "KV_sessions_dir")
		if err != nil {
			return err
		}
		_, err = fmt.Sscanf(s.CachedInfo().Cluster.Leader, "broker-%d", &i)
		return err
	})
	return i - 1
}

// nodes are the names of those that have a record, in no order.
func (l looker) nodes() (names []string) {
	l.t.Helper()
	l.patiently(func(ctx context.Context) error {
		names = nil
		kv, err := l.js.KeyValue(ctx, "sessions_nodes")
		if err != nil {
			return err
		}
		keys, err := kv.ListKeys(ctx)
		if err != nil {
			return err
		}
		for key := range keys.Keys() {
			name, _, _ := strings.Cut(key, "_")
			names = append(names, name)
		}
		return ctx.Err()
	})
	return names
}
