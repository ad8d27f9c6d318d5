package echo

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/errno"
)

// ClosedByPeer reports whether the other side ended the connection.
func ClosedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, errno.Reset) || errors.Is(err, errno.Aborted) || errors.Is(err, syscall.EPIPE)
}

// Cause names what lies behind a connection's error, for counting.
func Cause(err error) string {
	var (
		timeout net.Error
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		number  syscall.Errno
		op      *net.OpError
	)
	switch {
	case errors.Is(err, ErrWrongEcho):
		return "the echo was not what was sent"
	case errors.As(err, &cert):
		return "certificate not trusted: " + console.OneLine(cert.Err)
	case errors.As(err, &record):
		return "the answer is not TLS"
	case ClosedByPeer(err):
		return "closed by the server"
	case errors.Is(err, errno.Refused):
		return "connection refused"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "too many open files (see ulimit -n)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no free local port"
	case errors.As(err, &dns):
		return "host not found"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &number):
		return number.Error()
	case errors.As(err, &op):
		return console.OneLine(op.Err) // without the addresses, which differ
	default:
		return console.OneLine(err)
	}
}
