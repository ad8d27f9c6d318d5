//go:build !nocluster

package soak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// quickBroker builds this program without the race detector, which makes a broker several times
// slower. TestMain removes it.
var quickBroker = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(programs, "soak")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-w", "-o", exe, "..").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return exe, nil
})

// onlyCluster is a soak of one short round of one of the cluster's scenarios.
func onlyCluster(t *testing.T, scenario string) Config {
	t.Helper()
	broker, err := quickBroker()
	require.NoError(t, err)
	c := only(t, scenario)
	c.Cluster, c.broker = true, broker
	require.Len(t, c.Selected(), 1)
	return c
}

// All but those that differ from another by a policy, or by what is struck.
func TestClusterScenario_HoldsForAShortRound(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"corrupt", "storm-lead", // three brokers: these take longest
		"takeover", "kill", "stop-fence", "cut-fence", "restart", "storm", "storm-node", "rejoin", "lost", "full", "denied",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, err := onlyCluster(t, name).Run(t.Context())
			require.NoError(t, err)
			tally := res.Tallies[0]
			t.Logf("%d operations, worst recovery %v\n%s", tally.Operations, tally.Worst, strings.Join(tally.Last, "\n"))
			require.Nil(t, res.Failure, "%+v", res.Failure)
			require.NotEmpty(t, tally.Last)
			require.Equal(t, Held, tally.Verdict, tally.Why)
			require.Equal(t, 1, tally.Rounds)
			require.Positive(t, tally.Operations)
			require.Positive(t, tally.Worst)
		})
	}
}

// One broker and three are enough: the rest of a drill is the same for all. If a login gives up
// after the session of a deaf node has lost its entry to it, that session is the only one.
func TestDrill_IsNoticedInACluster(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"storm", "leader"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := onlyCluster(t, name)
			c.Drill = true
			res, err := c.Run(t.Context())
			require.NoError(t, err)
			require.NotNil(t, res.Failure)
			require.Contains(t, []string{oneOwner, recovers}, res.Failure.Guarantee, res.Failure.Seen)
			require.Equal(t, Failed, res.Tallies[0].Verdict)
		})
	}
}

func TestRun_OfAClusterThatIsInterruptedReturnsTheCause(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"kill": 200 * time.Millisecond, "stop-keep": 8 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stop := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(after, func() { cancel(stop) })
			res, err := onlyCluster(t, name).Run(ctx)
			require.ErrorIs(t, err, stop)
			require.Nil(t, res.Failure)
			require.Equal(t, NotRun, res.Tallies[0].Verdict)
		})
	}
}

func TestScenarios_HaveANameALineAndARoundOfTheirOwn(t *testing.T) {
	for _, named := range [][]flags.Scenario{flags.Scenarios, flags.ClusterScenarios} {
		names := make(map[string]bool)
		for _, s := range named {
			require.False(t, names[s.Name], s.Name)
			names[s.Name] = true
			require.LessOrEqual(t, len(s.Name), 11)
			require.LessOrEqual(t, len(s.About), 68)
		}
	}
	for _, s := range append(Scenarios(), ClusterScenarios()...) {
		require.NotNil(t, s.round, s.Name)
	}
}

func TestChild_ABrokerAndANodeEndWithTheirParent(t *testing.T) {
	t.Parallel()
	b, err := newBrokers(t.TempDir(), 1, "")
	require.NoError(t, err)
	require.NoError(t, b.start(t.Context(), 0))
	broker := b.child[0]
	t.Cleanup(broker.kill)
	dir := t.TempDir()
	node, err := startChild(t.Context(), "", "node", nodeOrder{
		Name: "a", URL: b.url(), Journal: dir + "/journal", Log: dir + "/log", Replicas: 1, Still: time.Second,
		Load: loadOrder{Workers: 2, IDs: 2},
	})
	require.NoError(t, err)
	t.Cleanup(node.kill)
	require.NoError(t, node.hear(&nodeReport{}))
	require.NoError(t, node.ask(nodeDo{Do: doLoad}, &nodeReport{}))
	for _, c := range []*child{node, broker} {
		done := make(chan error, 1)
		go func() { done <- c.wait() }() // closes its standard input
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(clusterPatience):
			require.Fail(t, "it goes on")
		}
	}
}

func TestLink_ThatIsCutKeepsAllAndEndsNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", loopback.Host()+":0")
	require.NoError(t, err)
	defer l.Close()
	k, err := newLink(l.Addr().String())
	require.NoError(t, err)
	defer k.close()
	node, err := net.Dial("tcp", k.addr())
	require.NoError(t, err)
	defer node.Close()
	broker, err := l.Accept()
	require.NoError(t, err)
	defer broker.Close()
	get := func(c net.Conn, within time.Duration) string {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(within)))
		buf := make([]byte, 100)
		n, err := c.Read(buf)
		if n == 0 {
			require.Error(t, err)
			return err.Error()
		}
		return string(buf[:n])
	}
	put := func(c net.Conn, text string) {
		_, err := c.Write([]byte(text))
		require.NoError(t, err)
	}

	put(node, "there")
	require.Equal(t, "there", get(broker, clusterPatience))
	put(broker, "back")
	require.Equal(t, "back", get(node, clusterPatience))

	k.slowDown(true)
	began := time.Now()
	put(broker, "late")
	require.Equal(t, "late", get(node, clusterPatience))
	require.GreaterOrEqual(t, time.Since(began), slowLeast)
	k.slowDown(false)

	k.sever()
	put(node, "lost")
	put(broker, "lost")
	require.Contains(t, get(broker, 100*time.Millisecond), "timeout")
	require.Contains(t, get(node, 100*time.Millisecond), "timeout")
	k.heal()
	require.NotContains(t, get(node, clusterPatience), "timeout", "what was cut is told of its end")
	require.NotContains(t, get(broker, clusterPatience), "lost")

	again, err := net.Dial("tcp", k.addr())
	require.NoError(t, err)
	defer again.Close()
	broker, err = l.Accept()
	require.NoError(t, err)
	defer broker.Close()
	put(again, "anew")
	require.Equal(t, "anew", get(broker, clusterPatience))
}
