package udp

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/internal/preempt"
	"github.com/sessionwheel/sessionwheel/pool"
)

// A run of a session ends after maxTurnDatagrams datagrams, or with the datagram that
// exceeds maxTurn, so that other sessions get their turn.
const (
	maxTurnDatagrams = 64
	maxTurn          = time.Millisecond
)

// runQueue holds the sessions that have callbacks to run, first in, first out,
// and counts the worker goroutines that run them.
type runQueue struct {
	work func()         // Server.work as a func value, so that starting it does not allocate
	done sync.WaitGroup // counts the workers

	mu sync.Mutex
	// Guarded by mu.
	head, tail *Session
	workers    int
}

// schedule queues a session for a worker, which runs its callbacks. The caller
// has set s.busy.
func (srv *Server) schedule(s *Session) {
	if srv.runQueue.push(s, srv.maxCallbacks) {
		go srv.runQueue.work() // owned by the server; ends when the queue is empty; Shutdown waits for it
	}
}

// push reports whether the caller must start another worker, which is counted
// already.
func (q *runQueue) push(s *Session, maxWorkers int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == nil {
		q.head = s
	} else {
		q.tail.nextQueued = s
	}
	q.tail = s
	if q.workers >= maxWorkers {
		return false
	}
	q.workers++
	q.done.Add(1)
	return true
}

// pop removes and returns the first session. If the queue is empty it returns
// nil, and the worker that called it ends.
func (q *runQueue) pop() *Session {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.head
	if s == nil {
		q.workers--
		return nil
	}
	q.head, s.nextQueued = s.nextQueued, nil
	return s
}

// work runs queued sessions until none is left. It is the body of a worker
// goroutine.
func (srv *Server) work() {
	returned := false
	defer func() {
		if !returned { // a callback called runtime.Goexit: another worker takes this one's place
			go srv.runQueue.work()
		}
	}()
	for s := srv.runQueue.pop(); s != nil; s = srv.runQueue.pop() {
		s.runOnce()
	}
	returned = true
	srv.runQueue.done.Done()
}

// runOnce calls the callbacks that are due, and then finishRun, also if a
// callback panics or calls runtime.Goexit.
func (s *Session) runOnce() {
	fault := ErrGoexit
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			s.server.logPanic(v, stack)
			fault = netserver.NewPanicError("udp", v, stack)
		}
		s.finishRun(fault)
	}()
	s.handle()
	fault = nil
}

// handle calls OnNewSessionRegister in the first run, then OnMessage for the pending
// datagrams, until the turn is over, and OnIdle if it is due.
func (s *Session) handle() {
	start := time.Now()
	if !s.opened {
		s.opened = true
		s.open()
	}
	ps, n := s.ps.Load(), 0
	for ; n < maxTurnDatagrams && ps.Reason() == "" && (n == 0 || time.Since(start) < maxTurn); n++ {
		d := s.next()
		if d == nil {
			break
		}
		s.datagrams++
		s.server.counts.handled.Add(1)
		if f := s.server.OnMessage; f != nil {
			f(s, d.data[:d.n:d.n])
		}
		d.free() // not after a panic: the callback may have kept part of it

		if s.server.Activity == Sent { // datagrams that keep coming keep no session open
			ps.UnpinAndExpire()
			ps.Pin()
		}
	}
	if n > 0 && s.server.Activity != Sent {
		ps.Touch()
	}
	s.notifyIdle(n > 0)
}

// open logs the session and calls OnNewSessionRegister.
func (s *Session) open() {
	if l := s.server.logger; l != nil && l.Enabled(context.Background(), slog.LevelDebug) {
		s.server.log(slog.LevelDebug, "udp: session opened", s.remoteAttr())
	}
	if f := s.server.OnNewSessionRegister; f != nil {
		f(s)
	}
	s.mu.Lock()
	s.shown = true
	s.mu.Unlock()
}

func (s *Session) isShown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

// finishRun ends a run: it schedules the session again, makes it idle, or ends
// it. A fault is what crashed a callback of this run, or nil.
func (s *Session) finishRun(fault error) {
	ps := s.ps.Load()
	switch {
	case fault != nil:
		ps.Close(ReasonPanic) // keeps the reason of an earlier close
	case s.isReplaced():
		ps.Close(pool.Replaced)
	case s.isDrained():
		ps.Close(pool.Shutdown)
	}
	preempt.At("finish: the session need not be closed")
	switch s.nextState(ps.Reason() != "") {
	case stateBusy:
		s.server.schedule(s)
	case stateIdle:
		s.unpin(ps) // what scheduled it has pinned it
	case stateClosed:
		s.end(fault)
	}
}

// state is what a session is after a run.
type state int

const (
	stateIdle   state = iota // open, and nothing is pending
	stateBusy                // open, and there is something to do
	stateClosed              // closed, and OnSessionClosed is due
)

// nextState returns the session's state after a run, and clears busy if it is
// idle. poolClosed says that the pool has decided the close, which it may have
// done before it calls transport.Close.
func (s *Session) nextState(poolClosed bool) state {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = s.closed || poolClosed
	switch {
	case s.closed:
		return stateClosed
	case s.numPending > 0 || s.idleDue || s.draining: // or drain came after finishRun had asked
		return stateBusy
	default:
		s.busy = false
		return stateIdle
	}
}

// isReplaced reports whether another session has taken the address.
func (s *Session) isReplaced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replaced
}

// isDrained reports whether the session is draining and has nothing pending.
func (s *Session) isDrained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining && s.numPending == 0
}
