package main

import (
	"bufio"
	"io"
	"net"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheDemoOfThreeNodesPasses(t *testing.T) {
	t.Parallel()
	o := program(t, "demo", "--nodes", "3")
	require.Zero(t, o.status, o.out+o.err)
	require.Empty(t, o.err)
	require.Contains(t, o.out, "60 users, 20 on each node")
	require.Regexp(t, `Takeover +user-1 logs in on b too, and a has closed "Replaced" first: \S+`, o.out)
	require.Regexp(t, `Message +from here to user-40 on b`, o.out)
	require.Regexp(t, `Kick +user-2 on a, closed "Kicked"`, o.out)
	require.Regexp(t, `Kill +node c with its 20 sessions`, o.out)
	require.Regexp(t, `gone after [\d.]+s, of 9s at most; the other 39 are untouched`, o.out)
	require.Regexp(t, `Login +user-60, who was on the dead node, on a`, o.out)
	require.Contains(t, o.out, "PASSED")
	require.NotContains(t, o.out, "\x1b")
	require.NotRegexp(t, `(?m)^.{81,}$`, o.out)
}

func TestTheDemosNodesEndWithItHoweverItEnds(t *testing.T) {
	t.Parallel()
	for sig, want := range map[syscall.Signal]outcome{
		syscall.SIGINT:  {status: 130, err: "sessionwheel: interrupted\n"},
		syscall.SIGKILL: {status: -1},
	} {
		r, w := io.Pipe()
		p := launchTo(t, w, "demo", "--nodes", "2")
		var addrs []string
		serves := regexp.MustCompile(`serves at (\S+)`)
		out := bufio.NewScanner(r)
		for len(addrs) < 2 && out.Scan() {
			if m := serves.FindStringSubmatch(out.Text()); m != nil {
				addrs = append(addrs, m[1])
			}
		}
		require.Len(t, addrs, 2, p.logged())
		rest := make(chan string, 1)
		go func() { // ends when the test closes w
			b, _ := io.ReadAll(r)
			rest <- string(b)
		}()
		p.signal(sig)
		got := p.wait()
		require.NoError(t, w.Close())
		said := <-rest
		require.Equal(t, want.status, got, said)
		require.Equal(t, want.err, p.logged())
		require.NotContains(t, said, "FAILED")
		for _, addr := range addrs {
			require.Eventually(t, func() bool {
				c, err := net.Dial("tcp", addr)
				if err == nil {
					_ = c.Close()
				}
				return err != nil
			}, patience, 50*time.Millisecond, "%v: the node at %s goes on", sig, addr)
		}
	}
}
