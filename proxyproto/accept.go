package proxyproto

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// acceptLoop accepts connections from the underlying listener until Close. It
// never waits for a peer.
func (l *Listener) acceptLoop() {
	for {
		conn, err := l.inner.Accept()
		switch {
		case err != nil:
			if !l.deliver(nil, err) {
				return
			}
		case l.trusts(conn):
			if !l.startHeader(conn) {
				return
			}
		case l.config.Others == Accept:
			if !l.deliver(conn, nil) {
				return
			}
		default:
			l.refuse(conn, ErrUntrusted)
		}
	}
}

// deliver waits until Accept returns conn and err. It closes conn and reports false
// if the listener is closed before that.
func (l *Listener) deliver(conn net.Conn, err error) bool {
	select {
	case l.results <- result{conn, err}:
		return true
	case <-l.closing:
		if conn != nil {
			_ = conn.Close() // nothing was sent on it
		}
		return false
	}
}

// startHeader starts a goroutine that reads the header of conn and then delivers or
// refuses the connection. It waits while MaxWaiting such goroutines run. It closes
// conn and reports false if the listener is closed.
func (l *Listener) startHeader(conn net.Conn) bool {
	e, ok := l.waiting.add(conn, l.closing)
	if !ok {
		_ = conn.Close() // nothing was sent on it
		return false
	}
	l.running.Go(func() { // ends when the connection is delivered or refused, or the listener closed; Close waits for it
		defer l.waiting.releaseSlot()
		headed, err := l.readHeader(conn)
		if !l.waiting.remove(e) { // it was closed to make room
			err = ErrTooManyWaiting
		}
		if err != nil {
			l.refuse(conn, err)
			return
		}
		l.deliver(headed, nil)
	})
	return true
}

// readHeader reads the header of conn within HeaderTimeout.
func (l *Listener) readHeader(conn net.Conn) (*Conn, error) {
	_ = conn.SetReadDeadline(time.Now().Add(l.config.HeaderTimeout)) // on a closed connection the read fails
	h, rest, err := readHeader(conn)
	_ = conn.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrHeaderTimeout
	case err != nil:
		return nil, err
	}
	return newConn(conn, h, rest), nil
}

// refuse closes a connection and calls OnError.
func (l *Listener) refuse(conn net.Conn, err error) {
	_ = conn.Close() // nothing was sent on it
	if errors.Is(err, errNoData) {
		l.probes.Add(1)
		return
	}
	if l.config.OnError == nil || l.isClosing() {
		return
	}
	l.config.OnError(fmt.Errorf("proxyproto: closed %v: %w", conn.RemoteAddr(), err))
}
