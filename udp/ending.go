package udp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// end drops what is pending, and calls OnError if fault is not nil, then Farewell,
// then OnSessionClosed. It is called once, in the last run: the session stays busy,
// so it is not scheduled again. Each step happens even if the callback before it
// panics or calls runtime.Goexit.
func (s *Session) end(fault error) {
	defer s.server.leave()
	defer s.server.ends.End(s, &s.over)
	s.dropPending()
	preempt.At("end: what was pending is dropped")
	s.server.addresses.uncount(s)
	defer s.notifyClosed()
	defer s.sendFarewell()
	if fault != nil {
		s.reportFault(fault)
	}
}

// dropPending drops the datagrams that were pending when the session was closed.
func (s *Session) dropPending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := s.popLocked(); d != nil; d = s.popLocked() {
		s.server.counts.late.Add(1)
		d.free()
	}
}

// sendFarewell calls Farewell and sends what it returns, unless a callback has
// crashed or another session has taken the address.
func (s *Session) sendFarewell() {
	f, r := s.server.Farewell, s.Reason()
	if f == nil || r == ReasonPanic || s.isReplaced() {
		return
	}
	returned := false
	defer s.reportCrash(&returned)
	p := f(s, r)
	returned = true
	if p == nil {
		return
	}
	err := s.server.socket.write(p, s.RemoteAddr())
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.reportFault(fmt.Errorf("%w: %w", ErrWrite, err))
	}
}

// notifyClosed logs the close and calls OnSessionClosed.
func (s *Session) notifyClosed() {
	r := s.Reason()
	if s.server.logger != nil {
		s.logClosed(r)
	}
	f := s.server.OnSessionClosed
	if f == nil {
		return
	}
	s.inOnClosed.Store(true)
	defer s.inOnClosed.Store(false)
	returned := false
	defer s.reportCrash(&returned)
	f(s, r)
	returned = true
}

// reportCrash, when deferred, stops a panic, logs it and reports it to OnError. If there
// is none and the callback has not returned, it reports that it called runtime.Goexit.
func (s *Session) reportCrash(returned *bool) {
	if v := recover(); v != nil {
		stack := debug.Stack()
		s.server.logPanic(v, stack)
		s.reportFault(netserver.NewPanicError("udp", v, stack))
	} else if !*returned {
		s.reportFault(ErrGoexit)
	}
}

// reportFault logs an error of the session and calls OnError. A panic in OnError is
// only logged.
func (s *Session) reportFault(err error) {
	if s.server.logger != nil {
		s.server.log(slog.LevelWarn, "udp: session fault", s.remoteAttr(), slog.Any("error", err))
	}
	if s.server.OnError == nil {
		return
	}
	defer s.server.recoverPanic()
	s.server.OnError(s, err)
}

// logClosed logs the close. The server has a logger.
func (s *Session) logClosed(r pool.Reason) {
	now, ps := time.Now(), s.ps.Load()
	s.server.log(slog.LevelInfo, "udp: session closed", s.remoteAttr(), slog.String("reason", string(r)),
		slog.Duration("idle", now.Sub(ps.LastActive())), slog.Duration("age", now.Sub(ps.RegisteredAt())),
		slog.Uint64("datagrams", s.datagrams))
}

// remoteAttr returns the peer's address as an attribute for the log.
func (s *Session) remoteAttr() slog.Attr { return slog.String("remote", s.RemoteAddr().String()) }
