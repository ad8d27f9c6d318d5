package tcp

import (
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// timeLimit is the time that a session has for the frame that is pending, or for its TLS
// handshake. When it has passed, reads of the session, and for a handshake writes as well,
// return with os.ErrDeadlineExceeded, and a session that is parked is woken.
type timeLimit struct {
	s     *Session
	timer wheel.Timer

	mu sync.Mutex
	// Guarded by mu.
	due    time.Time
	runs   bool
	writes bool // it ends writes as well
	over   bool
}

// startLimit starts the time, for the session's goroutine.
func (s *Session) startLimit(d time.Duration, writes bool) {
	l := s.limit
	if l == nil {
		l = &timeLimit{s: s}
		l.timer.Init(s.server.wheel, l.pass)
		s.limit = l
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due, l.runs, l.writes, l.over = time.Now().Add(d), true, writes, false
	l.timer.Reset(d)
}

// stopLimit stops the time, and reports whether it had passed.
func (s *Session) stopLimit() (passed bool) {
	l := s.limit
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	passed = l.over
	l.runs, l.over = false, false
	l.timer.Stop()
	return passed
}

// passed reports whether the time has passed, and was not stopped before.
func (l *timeLimit) passed() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// pass is called by the wheel.
func (l *timeLimit) pass() {
	if l.passes() {
		l.s.wake()
	}
}

// passes reports whether the time has passed, and was not stopped or started again meanwhile.
func (l *timeLimit) passes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.runs || time.Now().Before(l.due) {
		return false
	}
	l.runs, l.over = false, true
	if l.writes {
		_ = l.s.conn.SetDeadline(past) // a closed connection tells at the read
	} else {
		_ = l.s.conn.SetReadDeadline(past)
	}
	return true
}
