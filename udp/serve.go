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
	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// ListenAndServe listens on Server.Addr over UDP and calls Serve. It always returns
// an error: one that names Addr if it is empty or cannot be listened on, otherwise
// as Serve does. If the server already has a socket, the new one is closed.
func (srv *Server) ListenAndServe() error {
	if srv.Addr == "" {
		return errors.New(`udp: Server.Addr is empty: use "host:port", or ":port" for all addresses`)
	}
	pc, err := net.ListenPacket("udp", srv.Addr)
	if err != nil {
		return fmt.Errorf("udp: listen on Server.Addr: %w", err)
	}
	if err := srv.Serve(pc); !errors.Is(err, ErrServing) {
		return err
	}
	_ = pc.Close() // it is unused
	return ErrServing
}

// Serve reads datagrams from pc until Shutdown or Close. A server has one socket,
// because a session is known by its peer's address alone, and a peer may send to several
// sockets. Serve blocks and always returns an error:
//
//   - ErrServerClosed after Shutdown or Close. pc is closed when that call returns,
//     or by Serve if it had not begun to read.
//   - ErrServing if the server already has a socket. pc is left open.
//   - An error that names the field, if a field of the Server is invalid. pc is
//     closed.
//   - An error that wraps ErrRead if pc was closed by other code. The sessions
//     stay open but cannot send; Shutdown or Close ends them.
//
// Any other error of pc is reported to OnError, and Serve reads again: at once, and
// after further errors in a row with a pause of 5 milliseconds to 1 second.
//
// pc's SetReadDeadline must end a Read that is blocked, as net.PacketConn requires.
func (srv *Server) Serve(pc net.PacketConn) error {
	switch err := srv.start(pc); {
	case errors.Is(err, ErrServing):
		return err
	case err != nil:
		_ = pc.Close() // it is unused
		return err
	}
	defer srv.readEnded()
	err := srv.readOnGoroutines()
	if !errors.Is(err, ErrServerClosed) {
		srv.socket.close()
	}
	return err
}

// readOnGoroutines calls read on a goroutine of its own, and again on another one if
// Admit has called runtime.Goexit. It returns what read returns.
func (srv *Server) readOnGoroutines() error {
	for {
		ended := make(chan error)
		go func() { // ends with read, and is waited for below
			err := ErrGoexit
			defer func() { ended <- err }()
			err = srv.read()
		}()
		err := <-ended
		if !errors.Is(err, ErrGoexit) {
			return err
		}
		srv.reportLimited(failedAdmit, func() error { return ErrGoexit })
	}
}

// read receives datagrams until the socket is closed or the server is closing.
func (srv *Server) read() error {
	var (
		buf     = make([]byte, srv.maxDatagram+1) // a datagram that fills it is too large
		failed  bool                              // the last read failed with an error that may be temporary
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
		case isTruncated(err):
			srv.receive(buf, addr)
		case isClosed(err):
			return fmt.Errorf("%w: %w", ErrRead, err)
		default:
			srv.reportError(fmt.Errorf("%w: %w", ErrRead, err))
			if failed && !backoff.Wait(srv.stopped) {
				return ErrServerClosed
			}
			failed = true
		}
	}
}

// receive queues a datagram for its session, begins a session with it, or drops
// it.
func (srv *Server) receive(p []byte, addr netip.AddrPort) {
	srv.counts.received.Add(1)
	switch {
	case len(p) > srv.maxDatagram:
		srv.counts.tooLarge.Add(1)
		srv.reportDrop(dropTooLarge, addr)
		return
	case !isPeerAddress(addr):
		srv.counts.badAddress.Add(1)
		srv.reportDrop(dropBadAddress, addr)
		return
	case srv.own.has(addr):
		srv.counts.ownAddress.Add(1)
		srv.reportDrop(dropOwnAddress, addr)
		return
	}
	srv.deliver(p, addr)
}

// deliver gives a datagram to the session of its address. If there is none that is
// open, it asks Admit and begins a session.
func (srv *Server) deliver(p []byte, addr netip.AddrPort) {
	var dead *Session
	admitted := srv.Admit == nil
	for {
		s := srv.addresses.find(addr)
		preempt.At("deliver: the address is looked up")
		switch {
		case s != nil && s != dead:
			if s.receive(p) {
				return
			}
			dead = s // another one may have its address by now
		case !admitted:
			if !srv.admit(addr, p) {
				return
			}
			admitted = true // and Admit may have moved a session there
		default:
			err := srv.begin(addr, p, dead)
			if errors.Is(err, errTaken) {
				continue
			}
			if err != nil {
				srv.refuse(addr, err)
			}
			return
		}
	}
}

// begin starts a session with its first datagram. dead is nil, or the closed session
// that still has the address.
func (srv *Server) begin(addr netip.AddrPort, p []byte, dead *Session) error {
	d := srv.newDatagram(p)
	if d == nil {
		return ErrPendingFull
	}
	if err := srv.enter(); err != nil {
		srv.discard(d)
		return err
	}
	s, err := srv.addresses.begin(srv, addr, dead)
	if err != nil {
		srv.leave()
		srv.discard(d)
		return err
	}
	ps, err := srv.sessions.Load().Register(srv.lastID.Add(1), (*transport)(s))
	if err != nil {
		srv.addresses.unlist(s)
		srv.addresses.uncount(s)
		srv.leave()
		srv.discard(d)
		return err
	}
	ps.Pin()
	preempt.At("begin: the session is registered")
	s.ps.Store(ps)
	s.start(d)
	return nil
}

// refuse counts and reports a datagram that was dropped for the given error.
func (srv *Server) refuse(addr netip.AddrPort, err error) {
	switch {
	case errors.Is(err, pool.ErrFull):
		srv.counts.refusedFull.Add(1)
		srv.reportDrop(dropFull, addr)
	case errors.Is(err, ErrTooManyFromIP):
		srv.counts.refusedPerIP.Add(1)
		srv.reportDrop(dropTooManyFromIP, addr)
	case errors.Is(err, ErrPendingFull):
		srv.counts.pendingFull.Add(1)
		srv.reportDrop(dropPendingFull, addr)
	default: // the server or its pool is closed
		srv.counts.refusedWhenClosed.Add(1)
	}
}

// reportError logs an error that belongs to no session, and calls OnError with a
// nil Session. If OnError panics or calls runtime.Goexit, that is logged, and the
// server goes on.
func (srv *Server) reportError(err error) {
	if srv.logger != nil {
		srv.log(slog.LevelWarn, "udp: socket", slog.Any("error", err))
	}
	if srv.OnError == nil {
		return
	}
	crash := netserver.Call("udp", ErrGoexit, func() { srv.OnError(nil, err) })
	var p *PanicError
	switch {
	case crash == nil:
	case errors.As(crash, &p):
		srv.logPanic(p.Value, p.Stack)
	case srv.logger != nil:
		srv.log(slog.LevelError, "udp: socket", slog.Any("error", crash))
	}
}

// log writes to the logger, which must not be nil.
func (srv *Server) log(level slog.Level, msg string, attrs ...slog.Attr) {
	srv.logger.LogAttrs(context.Background(), level, msg, attrs...)
}

// recoverPanic, when deferred, logs a panic and stops it.
func (srv *Server) recoverPanic() {
	if v := recover(); v != nil {
		srv.logPanic(v, debug.Stack())
	}
}

// logPanic logs a panic's value and stack, if there is a logger.
func (srv *Server) logPanic(v any, stack []byte) {
	if srv.logger != nil {
		srv.log(slog.LevelError, "udp: panic", slog.Any("panic", v), slog.String("stack", string(stack)))
	}
}
