package udp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// ListenAndServe listens on Addr over UDP and serves what comes. It returns as
// Serve does.
func (srv *Server) ListenAndServe() error {
	if srv.Addr == "" {
		return errors.New(`udp: Server.Addr is empty: use "host:port", or ":port" for all addresses`)
	}
	pc, err := net.ListenPacket("udp", srv.Addr)
	if err != nil {
		return fmt.Errorf("udp: listening on Server.Addr: %w", err)
	}
	if err := srv.Serve(pc); !errors.Is(err, ErrServing) {
		return err
	}
	_ = pc.Close() // nothing was done with it
	return ErrServing
}

// Serve reads datagrams from pc until Shutdown or Close. A server has one
// socket: since a session is an address of a peer's, it could not tell apart
// what comes from there to several. Serve always returns an error:
//
//   - ErrServerClosed after Shutdown or Close; pc is closed when that returns,
//     or by Serve if nothing was served.
//   - ErrServing if the server has a socket already; pc is left as it is.
//   - One that names the field when a field is wrong; pc is closed.
//   - One that wraps ErrRead when pc was closed by somebody else. The sessions
//     then go on, and cannot send; Shutdown or Close ends them.
//
// Any other error of pc passes: it is told to OnError, and Serve reads on; when
// errors follow each other, after 5 milliseconds to 1 second.
//
// pc's SetReadDeadline must end a read that is waiting, as net.PacketConn says.
func (srv *Server) Serve(pc net.PacketConn) error {
	switch err := srv.start(pc); {
	case errors.Is(err, ErrServing):
		return err
	case err != nil:
		_ = pc.Close() // nothing was done with it
		return err
	}
	defer srv.readEnded()
	err := srv.read()
	if !errors.Is(err, ErrServerClosed) {
		srv.socket.close()
	}
	return err
}

// read hands on what comes until the socket is closed or the server closes.
func (srv *Server) read() error {
	var (
		buf     = make([]byte, srv.maxDatagram+1) // what fills it was too large
		failed  bool                              // at the last read, for a reason that may pass
		backoff netserver.Backoff
	)
	for {
		n, addr, err := srv.socket.read(buf)
		switch {
		case srv.closing.Load():
			return ErrServerClosed
		case err == nil:
			failed = false
			backoff.Reset()
			srv.receive(buf[:n], addr)
		case wasCut(err):
			srv.receive(buf, addr)
		case gone(err):
			return fmt.Errorf("%w: %w", ErrRead, err)
		default:
			srv.tellError(fmt.Errorf("%w: %w", ErrRead, err))
			if failed && !backoff.Wait(srv.stopped) {
				return ErrServerClosed
			}
			failed = true
		}
	}
}

// receive takes in a datagram: it is handed to its session, or begins one, or is
// dropped.
func (srv *Server) receive(p []byte, addr netip.AddrPort) {
	srv.counts.received.Add(1)
	switch {
	case len(p) > srv.maxDatagram:
		srv.counts.tooLarge.Add(1)
		srv.complain(tooLarge, addr)
		return
	case !addr.IsValid() || addr.Port() == 0:
		srv.counts.badAddress.Add(1)
		srv.complain(badAddress, addr)
		return
	}
	ps, ok := srv.sessions.Load().Get(addr)
	if ok && (*Session)(ps.Conn()).receive(p) {
		return
	}
	if err := srv.begin(addr, p); err != nil {
		srv.refuse(addr, err)
	}
}

// begin starts a session with its first datagram. One that was there before is
// closing already, and not in its place any more.
func (srv *Server) begin(addr netip.AddrPort, p []byte) error {
	d := srv.keep(p)
	if d == nil {
		return ErrPendingFull
	}
	if err := srv.enter(addr.Addr()); err != nil {
		srv.discard(d)
		return err
	}
	s := &Session{server: srv, busy: true} // so that nobody gives it a turn yet
	ps, err := srv.sessions.Load().Register(addr, (*transport)(s))
	if err != nil {
		srv.releaseIP(addr.Addr())
		srv.leave()
		srv.discard(d)
		return err
	}
	ps.Pin()
	s.ps.Store(ps)
	s.first(d)
	return nil
}

// refuse counts a datagram that could not begin a session.
func (srv *Server) refuse(addr netip.AddrPort, err error) {
	switch {
	case errors.Is(err, pool.ErrFull):
		srv.counts.refusedFull.Add(1)
		srv.complain(full, addr)
	case errors.Is(err, ErrTooManyFromIP):
		srv.counts.refusedPerIP.Add(1)
		srv.complain(tooManyFromIP, addr)
	case errors.Is(err, ErrPendingFull):
		srv.counts.pendingFull.Add(1)
		srv.complain(pendingFull, addr)
	default: // the server or its pool is closed
		srv.counts.refusedWhenClosed.Add(1)
	}
}

// tellError tells of what is no session's error. A panic of the callback is
// logged, and the server goes on.
func (srv *Server) tellError(err error) {
	if srv.logger != nil {
		srv.log(slog.LevelWarn, "udp: socket", slog.Any("error", err))
	}
	if srv.OnError == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			srv.logPanic(v, debug.Stack())
		}
	}()
	srv.OnError(nil, err)
}

// log is called with a logger only.
func (srv *Server) log(level slog.Level, msg string, attrs ...slog.Attr) {
	srv.logger.LogAttrs(context.Background(), level, msg, attrs...)
}

func (srv *Server) logPanic(v any, stack []byte) {
	if srv.logger != nil {
		srv.log(slog.LevelError, "udp: panic", slog.Any("panic", v), slog.String("stack", string(stack)))
	}
}
