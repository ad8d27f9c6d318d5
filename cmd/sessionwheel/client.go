package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

var (
	errWrongEcho = errors.New("wrong echo")           // the server's answer was not what it was sent
	errHandshake = errors.New("TLS handshake failed") // by a server that may not speak TLS
)

// replyTimeout is how long a client waits for the echo of one message.
const replyTimeout = 10 * time.Second

// client is one connection to an echo server. It serves one goroutine, but for
// Close.
type client struct {
	net.Conn
	proto protocol
	wire  []byte // the message as sent
	reply []byte // the echo as received
}

// dial connects to addr, over TLS unless config is nil.
func dial(ctx context.Context, addr string, config *tls.Config, proto protocol) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if config != nil {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%w: %w", errHandshake, err)
		}
		conn = secure
	}
	return &client{Conn: conn, proto: proto}, nil
}

// send writes one message. It returns the times just before and just after,
// between which the message left.
func (c *client) send(body []byte) (before, after time.Time, err error) {
	if c.wire, err = c.proto.append(c.wire[:0], body); err != nil {
		return
	}
	before = time.Now()
	_ = c.SetWriteDeadline(before.Add(replyTimeout))
	_, err = c.Write(c.wire)
	return before, time.Now(), err
}

// receive reads the echo of what was sent last and compares it.
func (c *client) receive() error {
	if cap(c.reply) < len(c.wire) {
		c.reply = make([]byte, len(c.wire))
	}
	c.reply = c.reply[:len(c.wire)]
	_ = c.SetReadDeadline(time.Now().Add(replyTimeout))
	if _, err := io.ReadFull(c, c.reply); err != nil {
		return err
	}
	if !bytes.Equal(c.reply, c.wire) {
		return errWrongEcho
	}
	return nil
}

// awaitClose reads until the server closes the connection, which is nil. It
// returns an error when something else ends it: the connection was closed here.
func (c *client) awaitClose() error {
	_ = c.SetReadDeadline(time.Time{})
	_, err := io.Copy(io.Discard, c.Conn)
	if err == nil || closedByPeer(err) {
		return nil
	}
	return err
}

// closedByPeer tells whether err is the other side's doing.
func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, errnoReset) || errors.Is(err, errnoAborted) || errors.Is(err, syscall.EPIPE)
}

// cause names what lies behind a connection's error, for counting.
func cause(err error) string {
	var (
		timeout net.Error
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		errno   syscall.Errno
		op      *net.OpError
	)
	switch {
	case errors.Is(err, errWrongEcho):
		return "the echo was not what was sent"
	case errors.As(err, &cert):
		return "certificate not trusted: " + console.OneLine(cert.Err)
	case errors.As(err, &record):
		return "the answer is not TLS"
	case closedByPeer(err):
		return "closed by the server"
	case errors.Is(err, errnoRefused):
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
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &op):
		return console.OneLine(op.Err) // without the addresses, which differ
	default:
		return console.OneLine(err)
	}
}

// waitAtMost waits for wg, but not longer than limit. What it starts ends with
// wg, which the caller must wait for in the end.
func waitAtMost(wg *sync.WaitGroup, limit time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}
