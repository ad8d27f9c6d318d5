package echo

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/errno"
)

func TestCause_IsTheSameForAllConnections(t *testing.T) {
	op := func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
	for want, err := range map[string]error{
		"the echo was not what was sent":      ErrWrongEcho,
		"closed by the server":                io.EOF,
		"no answer in time":                   op(os.ErrDeadlineExceeded),
		"connection refused":                  op(os.NewSyscallError("connect", errno.Refused)),
		"host not found":                      op(&net.DNSError{Err: "no such host", IsNotFound: true}),
		"no free local port":                  op(os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)),
		"too many open files (see ulimit -n)": op(os.NewSyscallError("socket", syscall.EMFILE)),
		"something else":                      op(errors.New("something\nelse")),
		syscall.ENETUNREACH.Error():           op(os.NewSyscallError("connect", syscall.ENETUNREACH)),
		"use of closed network connection":    op(net.ErrClosed),
	} {
		require.Equal(t, want, Cause(err))
	}
	require.Equal(t, "closed by the server", Cause(op(os.NewSyscallError("write", syscall.EPIPE))))
	require.Equal(t, "closed by the server", Cause(op(os.NewSyscallError("read", errno.Reset))))
}
