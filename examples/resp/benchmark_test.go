package main

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedisBenchmark_CompletesWithoutAnError(t *testing.T) {
	t.Parallel()
	for name, pipeline := range map[string]string{"one by one": "1", "pipelined": "16"} {
		t.Run(name, func(t *testing.T) {
			addr := ours(t)
			host, port, err := net.SplitHostPort(addr)
			require.NoError(t, err)
			out, err := exec.Command(tool(t, "redis-benchmark"), "-h", host, "-p", port, "-P", pipeline,
				"-t", "ping,set,get,incr", "-n", "5000", "-c", "20", "-r", "1000", "-q").CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Equal(t, 5, strings.Count(string(out), "requests per second, p50"), "%s", out)
			require.NotContains(t, strings.ToLower(string(out)), "error")
			require.NotContains(t, string(out), "WARNING", "it got what it asks of CONFIG")
			require.NotEqual(t, ":0", dial(t, addr).ask("DBSIZE"))
		})
	}
}
