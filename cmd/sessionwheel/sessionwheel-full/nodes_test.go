package main

import (
	"bufio"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

func TestNodes_TheDemoOfThreePasses(t *testing.T) {
	t.Parallel()
	o := consoletest.Run(t, "demo", "--nodes", "3")
	for again := 0; again < 2 && strings.Contains(o.Out+o.Err, "node has no lease"); again++ { // a slow machine
		o = consoletest.Run(t, "demo", "--nodes", "3")
	}
	require.Zero(t, o.Status, o.Out+o.Err)
	require.Empty(t, o.Err)
	require.Contains(t, o.Out, "60 users, 20 on each node")
	require.Regexp(t, `Takeover +user-1 logs in on b too, and a has closed "Replaced" first: \S+`, o.Out)
	require.Regexp(t, `Message +from here to user-40 on b`, o.Out)
	require.Regexp(t, `Kick +user-2 on a, closed "Kicked"`, o.Out)
	require.Regexp(t, `Kill +node c with its 20 sessions`, o.Out)
	require.Regexp(t, `gone after [\d.]+s, of 9s at most; the other 39 are untouched`, o.Out)
	require.Regexp(t, `Login +user-60, who was on the dead node, on a`, o.Out)
	require.Contains(t, o.Out, "PASSED")
	require.NotContains(t, o.Out, "\x1b")
	require.NotRegexp(t, `(?m)^.{81,}$`, o.Out)
}

func TestNodes_EndWithTheDemoHoweverItEnds(t *testing.T) {
	t.Parallel()
	for sig, want := range map[syscall.Signal]consoletest.Outcome{
		syscall.SIGINT:  {Status: 130, Err: "sessionwheel: interrupted\n"},
		syscall.SIGKILL: {Status: -1},
	} {
		r, w := io.Pipe()
		p := consoletest.LaunchTo(t, w, "demo", "--nodes", "2")
		var addrs []string
		serves := regexp.MustCompile(`serves at (\S+)`)
		out := bufio.NewScanner(r)
		for len(addrs) < 2 && out.Scan() {
			if m := serves.FindStringSubmatch(out.Text()); m != nil {
				addrs = append(addrs, m[1])
			}
		}
		require.Len(t, addrs, 2, p.Logged())
		rest := make(chan string, 1)
		go func() { // ends when the test closes w
			b, _ := io.ReadAll(r)
			rest <- string(b)
		}()
		p.Signal(sig)
		got := p.Wait()
		require.NoError(t, w.Close())
		said := <-rest
		require.Equal(t, want.Status, got, said)
		require.Equal(t, want.Err, p.Logged())
		require.NotContains(t, said, "FAILED")
		for _, addr := range addrs {
			require.Eventually(t, func() bool {
				c, err := net.Dial("tcp", addr)
				if err == nil {
					_ = c.Close()
				}
				return err != nil
			}, consoletest.Patience, 50*time.Millisecond, "%v: the node at %s goes on", sig, addr)
		}
	}
}
