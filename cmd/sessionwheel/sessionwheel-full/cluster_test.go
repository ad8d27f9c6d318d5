package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/embedded"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
	"github.com/sessionwheel/sessionwheel/pool"
)

// asking runs a command for the cluster at url.
func asking(t *testing.T, url string, args ...string) consoletest.Outcome {
	t.Helper()
	return consoletest.Run(t, append(append([]string{"cluster"}, args...), "--cluster", url, "--cluster-token-file", tokenFile(t))...)
}

func TestCluster_SessionsOfAllNodesAreListedFoundSentToAndKicked(t *testing.T) {
	t.Parallel()
	_, addrA, url := firstNode(t, "a")
	b, addrB := startNode(t, url, "b", "--split", "frames")
	ann := servetest.ConnectPeer(t, addrA)
	require.Equal(t, "ok", ann.Ask("login ann"))
	bob := servetest.Connect(t, addrB, "frames", nil)
	_, _, err := bob.Send([]byte("login bob"))
	require.NoError(t, err)
	b.Await(`msg=login session=1 name=(bob)`)
	require.Equal(t, "$\x00\x02#ok", read(t, bob, 6))

	at := `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`
	ls := asking(t, url, "ls").Prints(t)
	require.Regexp(t, `(?m)^ann\ta\t`+at+`\t`+ann.LocalAddr().String()+`$`, ls)
	require.Regexp(t, `(?m)^bob\tb\t`+at+`\t`+bob.LocalAddr().String()+`$`, ls)
	require.Equal(t, 2, strings.Count(ls, "\n"))
	require.Regexp(t, `^bob\tb\t`+at+`\t\S+\n$`, asking(t, url, "where", "bob").Prints(t))
	var found struct {
		ID, Node string
		Since    time.Time
		Token    uint64
	}
	require.NoError(t, json.Unmarshal([]byte(asking(t, url, "where", "bob", "--json").Prints(t)), &found))
	require.Equal(t, "bob", found.ID)
	require.Equal(t, "b", found.Node)
	require.NotZero(t, found.Token)
	require.False(t, found.Since.IsZero())

	require.Regexp(t, `^a\t\d\ta_\w+\nb\t\d\tb_\w+\n$`, asking(t, url, "nodes").Prints(t))

	require.Equal(t, "sent\tann\n", asking(t, url, "send", "ann", "two\nlines\r\nas one").Prints(t))
	require.Equal(t, "two lines  as one", ann.Hear())
	require.Equal(t, "sent\tbob\n", asking(t, url, "send", "bob", "two\nlines").Prints(t))
	require.Equal(t, "$\x00\x09#two\nlines", read(t, bob, 13))

	require.Equal(t, "{\"done\":\"kicked\",\"id\":\"ann\"}\n", asking(t, url, "kick", "ann", "--reason", "Rude", "--json").Prints(t))
	ann.Closed()
	require.Equal(t, "kicked\tbob\n", asking(t, url, "kick", "bob").Prints(t))
	require.NoError(t, bob.AwaitClose())
	b.Await(`name=bob session=1 .*reason=Kicked`)
	for _, args := range [][]string{{"where", "bob"}, {"kick", "bob"}, {"send", "bob", "hello"}} {
		o := asking(t, url, args...)
		require.Equal(t, console.ExitRuntime, o.Status)
		o.OneErrorLine(t, "no session bob")
	}
	require.Empty(t, asking(t, url, "ls").Prints(t))
}

// read reads n bytes.
func read(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	require.NoError(t, err)
	return string(b)
}

func TestWatch_PrintsSessionsThatComeAndGoUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	_, addr, url := firstNode(t, "a")
	r, w := io.Pipe()
	defer r.Close()
	p := consoletest.LaunchTo(t, w, "cluster", "watch", "--cluster", url, "--cluster-token-file", tokenFile(t))
	p.Await(`watching the cluster until Ctrl-C`)
	out := bufio.NewReader(r)
	line := func() string {
		s, err := out.ReadString('\n')
		require.NoError(t, err)
		_, s, _ = strings.Cut(s, "\t")
		return s
	}
	first := servetest.ConnectPeer(t, addr)
	require.Equal(t, "ok", first.Ask("login ann"))
	require.Equal(t, "claimed\tann\ta\t"+first.LocalAddr().String()+"\n", line())
	require.NoError(t, first.Close())
	require.Equal(t, "released\tann\n", line())
	p.Signal(syscall.SIGINT)
	require.Zero(t, p.Wait(), p.Logged())
}

// nobody is the sessions of a node whose test claims them itself.
type nobody struct{}

func (nobody) Close(context.Context, string, uint64, pool.Reason) (bool, error) { return false, nil }

func (nobody) Deliver(context.Context, string, uint64, []byte) (bool, error) { return false, nil }

// brokerWith starts a broker with a node that has the given sessions.
func brokerWith(t *testing.T, ids ...string) (url string) {
	t.Helper()
	b, err := embedded.Start(embedded.Config{Addr: loopback.Host() + ":0", Token: clusterToken})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	nc, err := b.Connect(cluster.ConnOptions(0)...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	n, err := cluster.Join(t.Context(), cluster.Config{Name: "here", Conn: nc, Storage: cluster.Memory, Local: nobody{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Leave(context.Background())) })
	for _, id := range ids {
		require.NoError(t, n.Claim(t.Context(), id, []byte("meta of "+id), func(uint64) {}))
	}
	return b.URL()
}

func TestCluster_OutputHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	evil := "ev\x1b[31mil\t\n\u009b2J\u202e\u2028"
	url := brokerWith(t, evil)
	for _, args := range [][]string{{"ls"}, {"ls", "--json"}, {"where", evil}} {
		out := asking(t, url, args...).Prints(t)
		require.Contains(t, out, "ev[31mil2J")
		require.Contains(t, out, "meta of ev[31mil2J")
		require.Equal(t, 1, strings.Count(out, "\n"))
		require.NotRegexp(t, `[\x{1b}\x{9b}\x{202e}\x{2028}]|\\u|\\t`, out)
	}
	require.Equal(t, "kicked\tev[31mil2J\n", asking(t, url, "kick", evil).Prints(t))
	o := asking(t, url, "kick", evil)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, "no session ev[31mil 2J in the cluster")
	require.NotContains(t, o.Err, "\x1b")
}
