package main

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlags_ErrorNamesTheFlagAndHelpIsPrinted(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	for _, tt := range []struct {
		args   string
		status int
		says   string
	}{
		{"--help", 0, "--max-keep-alive=SECONDS"},
		{"--max-keep-alive -1", 2, "--max-keep-alive: "},
		{"--max-keep-alive 65536", 2, "--max-keep-alive: "},
		{"--nope", 2, "--nope"},
		{"stray", 2, "stray"},
		{"--cluster nats://127.0.0.1", 2, "--node"},
		{"--node a", 2, "--cluster"},
		{"--cluster nats://127.0.0.1 --node a --store f", 2, "--store"},
		{"--addr " + addr, 1, "mqtt: error: listen tcp " + addr + ": "},
		{"--addr 127.0.0.1:0 --tls-addr 127.0.0.1:0", 1, "mqtt: error: --cert, --key, --client-ca: "},
	} {
		var said bytes.Buffer
		cmd := program(t, strings.Fields(tt.args)...)
		cmd.Stdout, cmd.Stderr = &said, &said
		err := cmd.Run()
		var exit *exec.ExitError
		require.True(t, err == nil || errors.As(err, &exit), "%v", err)
		require.Equal(t, tt.status, cmd.ProcessState.ExitCode(), tt.args)
		require.Contains(t, said.String(), tt.says)
	}
}
