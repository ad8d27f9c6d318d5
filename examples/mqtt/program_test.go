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
		{"--help", 0, "-max-keep-alive seconds"},
		{"--max-keep-alive -1", 2, "--max-keep-alive must be from 0 to 65535 seconds"},
		{"--nope", 2, "-nope"},
		{"stray", 2, "no arguments except flags"},
		{"--addr " + addr, 1, "mqtt: --addr " + addr + ": listen tcp " + addr},
		{"--addr 127.0.0.1:0 --tls-addr 127.0.0.1:0", 1, "mqtt: --cert, --key: "},
	} {
		var said bytes.Buffer
		cmd := program(t, strings.Fields(tt.args)...)
		cmd.Stderr = &said
		err := cmd.Run()
		var exit *exec.ExitError
		require.True(t, err == nil || errors.As(err, &exit), "%v", err)
		require.Equal(t, tt.status, cmd.ProcessState.ExitCode(), tt.args)
		require.Contains(t, said.String(), tt.says)
	}
}
