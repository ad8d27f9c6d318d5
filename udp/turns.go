package udp

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// batch is how many datagrams a session may handle in one turn, while others
// wait for theirs.
const batch = 64

// turns are the sessions that have something to do and wait for a goroutine to
// do it on, the first to come first.
type turns struct {
	work func()         // Server.work, made once, so that starting it allocates nothing
	done sync.WaitGroup // of the workers

	mu sync.Mutex
	// Guarded by mu.
	head, tail *Session
	workers    int
}

// giveTurn lets a session call its callbacks on one of MaxCallbacks goroutines.
// The caller has made the session busy.
func (srv *Server) giveTurn(s *Session) {
	if srv.turns.push(s, srv.maxCallbacks) {
		go srv.turns.work() // owned by the server; ends when no session waits; Shutdown waits for it
	}
}

// push reports whether another worker is to be started.
func (t *turns) push(s *Session, maxWorkers int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.head == nil {
		t.head = s
	} else {
		t.tail.nextTurn = s
	}
	t.tail = s
	if t.workers >= maxWorkers {
		return false
	}
	t.workers++
	t.done.Add(1)
	return true
}

// pop returns nil if no session waits; the worker who asked then ends.
func (t *turns) pop() *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.head
	if s == nil {
		t.workers--
		return nil
	}
	t.head, s.nextTurn = s.nextTurn, nil
	return s
}

// work is a worker: it gives turns until no session waits.
func (srv *Server) work() {
	returned := false
	defer func() {
		if !returned { // a callback called runtime.Goexit: another worker goes on in its place
			go srv.turns.work()
		}
	}()
	for s := srv.turns.pop(); s != nil; s = srv.turns.pop() {
		s.turn()
	}
	returned = true
	srv.turns.done.Done()
}

// turn calls the callbacks that are due, and decides what comes of the session
// then, whatever they did.
func (s *Session) turn() {
	fault := ErrGoexit
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			s.server.logPanic(v, stack)
			fault = netserver.NewPanicError("udp", v, stack)
		}
		s.turned(fault)
	}()
	s.handle()
	fault = nil
}

// handle calls OnNewSessionRegister in the first turn, and OnMessage for what is
// pending.
func (s *Session) handle() {
	if !s.opened {
		s.opened = true
		s.open()
	}
	ps, n := s.ps.Load(), 0
	for ; n < batch && ps.Reason() == ""; n++ {
		d := s.next()
		if d == nil {
			break
		}
		s.datagrams++
		s.server.counts.handled.Add(1)
		if f := s.server.OnMessage; f != nil {
			f(s, d.data[:d.n:d.n])
		}
		d.giveBack() // not after a panic: the callback may have kept part of it
	}
	if n > 0 && s.server.Activity != Sent {
		ps.Touch()
	}
}

func (s *Session) open() {
	if l := s.server.logger; l != nil && l.Enabled(context.Background(), slog.LevelDebug) {
		s.server.log(slog.LevelDebug, "udp: session opened", s.remote())
	}
	if f := s.server.OnNewSessionRegister; f != nil {
		f(s)
	}
}

// turned ends a turn: the session gets another one, or rests, or is over.
func (s *Session) turned(fault error) {
	ps := s.ps.Load()
	switch {
	case fault != nil:
		ps.Close(ReasonPanic) // unless somebody else has closed it: then it has that reason
	case s.isDrained():
		ps.Close(pool.Shutdown)
	}
	switch s.rest(ps.Reason() != "") {
	case stateBusy:
		s.server.giveTurn(s)
	case stateIdle:
		ps.Unpin() // as receive has pinned it
	case stateOver:
		s.end(fault)
	}
}

// What comes of a session after a turn.
type state int

const (
	stateIdle state = iota
	stateBusy
	stateOver
)

// rest makes the session idle, if it is open and nothing is pending. That it is
// closed may be known here before its pool has told it.
func (s *Session) rest(closed bool) state {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = s.over || closed
	switch {
	case s.over:
		return stateOver
	case s.waiting > 0:
		return stateBusy
	default:
		s.busy = false
		return stateIdle
	}
}

func (s *Session) isDrained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining && s.waiting == 0
}

// end is the session's last step. It stays busy, so it gets no turn any more.
// Each part is done whatever the callback before did.
func (s *Session) end(fault error) {
	defer s.server.leave()
	s.dropPending()
	s.server.releaseIP(s.RemoteAddr().Addr())
	defer s.tellClosed()
	if fault != nil {
		s.tellFault(fault)
	}
}

// dropPending drops what was pending when the session was closed.
func (s *Session) dropPending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := s.popLocked(); d != nil; d = s.popLocked() {
		s.server.counts.late.Add(1)
		d.giveBack()
	}
}

// tellFault calls OnError for a callback that crashed. A panic there goes to the
// log alone.
func (s *Session) tellFault(err error) {
	if s.server.logger != nil {
		s.server.log(slog.LevelWarn, "udp: session fault", s.remote(), slog.Any("error", err))
	}
	if s.server.OnError == nil {
		return
	}
	defer s.caught()
	s.server.OnError(s, err)
}

// tellClosed calls OnSessionClosed. A panic there goes to the log and to OnError.
func (s *Session) tellClosed() {
	r := s.ps.Load().Reason()
	if s.server.logger != nil {
		s.logClosed(r)
	}
	f := s.server.OnSessionClosed
	if f == nil {
		return
	}
	s.parting.Store(true)
	defer s.parting.Store(false)
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			s.server.logPanic(v, stack)
			s.tellFault(netserver.NewPanicError("udp", v, stack))
		}
	}()
	f(s, r)
}

// caught, deferred, logs a panic.
func (s *Session) caught() {
	if v := recover(); v != nil {
		s.server.logPanic(v, debug.Stack())
	}
}

// logClosed is called with a logger only.
func (s *Session) logClosed(r pool.Reason) {
	now, ps := time.Now(), s.ps.Load()
	s.server.log(slog.LevelInfo, "udp: session closed", s.remote(), slog.String("reason", string(r)),
		slog.Duration("idle", now.Sub(ps.LastActive())), slog.Duration("age", now.Sub(ps.RegisteredAt())),
		slog.Uint64("datagrams", s.datagrams))
}

// remote is the peer's address as the log shows it.
func (s *Session) remote() slog.Attr { return slog.String("remote", s.RemoteAddr().String()) }
