package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// ListenAndServe listens on Server.Addr over TCP and calls Serve. It always returns an error:
// one that names Addr if it is empty or cannot be listened on, otherwise as Serve does.
func (srv *Server) ListenAndServe() error {
	l, err := srv.listen()
	if err != nil {
		return err
	}
	return srv.Serve(l)
}

// Serve accepts connections from l and serves them on other goroutines, for which Shutdown
// waits. Several calls with different listeners may run at the same time. Serve blocks and
// always returns an error; l is closed by then. The error is ErrServerClosed after Shutdown,
// StopListening or Close, one that names the field if a field of the Server is invalid, or
// that of Accept. Temporary errors of Accept, for example when there are no file descriptors
// or no memory left or the network is down, are logged and reported to OnError, and Serve
// tries again after a pause of 5 milliseconds to 1 second.
//
// If Serve returns an error other than ErrServerClosed, the sessions stay open; Shutdown or
// Close ends them.
func (srv *Server) Serve(l net.Listener) error {
	ol := &onceListener{Listener: l}
	defer ol.Close()
	if err := srv.start(); err != nil {
		return err
	}
	if !srv.listening(ol) {
		return ErrServerClosed
	}
	defer srv.notListening(ol)
	var backoff netserver.Backoff
	for {
		conn, err := ol.Accept()
		switch {
		case err == nil:
			backoff.Reset()
			srv.admit(conn)
		case srv.deaf.Load():
			return ErrServerClosed
		case !netserver.IsPassing(err):
			return err
		default:
			srv.acceptErrors.Add(1)
			srv.tellError(err)
			if !backoff.Wait(srv.stopped) {
				return ErrServerClosed
			}
		}
	}
}

// admit starts a session for conn, unless a limit forbids it. It never waits
// for the peer.
func (srv *Server) admit(conn net.Conn) {
	ip := srv.limitedIP(conn)
	if err := srv.enter(ip); err != nil {
		srv.refuse(conn, err)
		return
	}
	preempt.At("admit: the session is counted")
	s := srv.newSession(conn)
	srv.keepIP(s, ip)
	ps, err := srv.sessions.Load().Register(srv.lastID.Add(1), (*transport)(s))
	if err != nil {
		srv.releaseSocket(s)
		srv.leave()
		srv.refuse(conn, err)
		return
	}
	s.ps = ps
	ps.Pin() // until OnNewSessionRegister has returned
	// Shutdown marks the server closing before it looks at the sessions: either it sees this
	// one, or this sees the mark.
	if srv.closing.Load() {
		ps.Close(pool.Shutdown)
	}
	srv.workers.run(s)
}

// refuse closes a connection that is no session.
func (srv *Server) refuse(conn net.Conn, err error) {
	_ = conn.Close() // nothing was sent on it
	if errors.Is(err, ErrServerClosed) || errors.Is(err, pool.ErrPoolClosed) {
		return
	}
	srv.tellError(fmt.Errorf("tcp: refused %v: %w", conn.RemoteAddr(), err))
}

// tellError tells of what is no session's error. If the callback panics or calls
// runtime.Goexit, that is logged, and the listener goes on.
func (srv *Server) tellError(err error) {
	if srv.logger != nil {
		srv.log(slog.LevelWarn, "tcp: listener", slog.Any("error", err))
	}
	if srv.OnError == nil {
		return
	}
	srv.logCrash(netserver.Call("tcp", ErrGoexit, func() { srv.OnError(nil, err) }))
}

// logCrash logs what ended a callback of the listener; nil is nothing.
func (srv *Server) logCrash(err error) {
	var p *PanicError
	switch {
	case err == nil:
	case errors.As(err, &p):
		srv.logPanic(p.Value, p.Stack)
	case srv.logger != nil:
		srv.log(slog.LevelError, "tcp: listener", slog.Any("error", err))
	}
}

// log is called with a logger only.
func (srv *Server) log(level slog.Level, msg string, attrs ...slog.Attr) {
	srv.logger.LogAttrs(context.Background(), level, msg, attrs...)
}

func (srv *Server) logPanic(v any, stack []byte) {
	if srv.logger != nil {
		srv.log(slog.LevelError, "tcp: panic", slog.Any("panic", v), slog.String("stack", string(stack)))
	}
}

// listening adds a listener, unless the server is closing.
func (srv *Server) listening(l *onceListener) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.deaf.Load() {
		return false
	}
	srv.listeners[l] = struct{}{}
	return true
}

func (srv *Server) notListening(l *onceListener) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.listeners, l)
}

// newSession prepares a session for conn; it has no pool session yet.
func (srv *Server) newSession(conn net.Conn) *Session {
	s := &Session{server: srv, conn: conn, raw: rawConn(conn), restedAt: longAgo}
	if _, brought := conn.(*tls.Conn); !brought && srv.tlsConfig != nil {
		s.tls.Store(s.newTLS(srv.tlsConfig))
	}
	return s
}

// onceListener is a listener that may be closed any number of times.
type onceListener struct {
	net.Listener
	once sync.Once
	err  error
}

// Close closes the listener the first time.
func (l *onceListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}
