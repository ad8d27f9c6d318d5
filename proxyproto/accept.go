package proxyproto

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// accept is the goroutine that accepts from the listener beneath. It never waits
// for a peer.
func (l *Listener) accept() {
	for {
		conn, err := l.inner.Accept()
		switch {
		case err != nil:
			if !l.hand(nil, err) {
				return
			}
		case l.trusts(conn.RemoteAddr()):
			if !l.await(conn) {
				return
			}
		case l.config.Others == Take:
			if !l.hand(conn, nil) {
				return
			}
		default:
			l.refuse(conn, ErrUntrusted)
		}
	}
}

// hand gives Accept what it is to return. It reports false, and closes the
// connection, if the listener is closed before Accept takes it.
func (l *Listener) hand(conn net.Conn, err error) bool {
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

// await has the header of conn read on a goroutine. It reports false if the
// listener is closed.
func (l *Listener) await(conn net.Conn) bool {
	place, ok := l.waiting.enter(conn, l.closing)
	if !ok {
		_ = conn.Close() // nothing was sent on it
		return false
	}
	l.running.Go(func() { // ends when the header was read and the connection taken, or either closed; Close waits for it
		defer l.waiting.leave()
		remote, local, err := l.header(conn)
		if !l.waiting.arrived(place) { // somebody has closed it
			err = ErrTooManyWaiting
		}
		switch {
		case err != nil:
			l.refuse(conn, err)
		case remote != nil:
			l.hand(&Conn{conn, remote, local}, nil)
		default:
			l.hand(conn, nil)
		}
	})
	return true
}

// header reads the header of conn under its deadline.
func (l *Listener) header(conn net.Conn) (remote, local net.Addr, err error) {
	_ = conn.SetReadDeadline(time.Now().Add(l.config.HeaderTimeout)) // a closed connection tells at the read
	remote, local, err = readHeader(conn)
	_ = conn.SetReadDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrHeaderTimeout
	}
	return remote, local, err
}

// refuse closes a connection and tells of it.
func (l *Listener) refuse(conn net.Conn, err error) {
	_ = conn.Close() // nothing was sent on it
	if l.config.OnError == nil || errors.Is(err, errNothing) || l.isClosing() {
		return
	}
	l.config.OnError(fmt.Errorf("proxyproto: closed %v: %w", conn.RemoteAddr(), err))
}
