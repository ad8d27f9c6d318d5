package tcp

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// parkAfter is how long a session keeps its worker without input, and up to twice as long.
const parkAfter = time.Second

// inputCheck looks whether the session that a worker runs has had input for a while. If not,
// it has the session's read return with os.ErrDeadlineExceeded.
type inputCheck struct {
	timer wheel.Timer
	heard atomic.Bool // there was input since look ran

	// Of the worker's goroutine.
	on    bool // the check runs, or has not been answered
	spent bool // it was answered in vain: the session is left alone until there is input

	mu sync.Mutex
	// Guarded by mu.
	s     *Session // nil: nobody is to be looked at
	armed bool
	due   bool // there was no input
}

func (c *inputCheck) begin(s *Session) {
	c.on, c.spent = false, false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s = s
}

// isOff reports whether the check is to be started.
func (c *inputCheck) isOff() bool { return !c.on && !c.spent }

func (c *inputCheck) start() {
	c.on = true
	c.heard.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.due = true, false
	c.timer.Reset(parkAfter)
}

// input notes that there was input.
func (c *inputCheck) input() {
	c.spent = false
	if !c.heard.Load() {
		c.heard.Store(true)
	}
}

// look is called by the wheel. Under mu, so that no deadline is set on a connection once its
// session has left the worker.
func (c *inputCheck) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.s == nil || !c.armed: // it was stopped meanwhile
	case c.heard.Swap(false):
		c.timer.Reset(parkAfter)
	default:
		c.armed, c.due = false, true
		_ = c.s.conn.SetReadDeadline(past) // a closed connection tells at the read
	}
}

// answer reports whether it is the check that has the read return, and there was no input
// since. The caller has cleared the deadline.
func (c *inputCheck) answer() (silent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.due {
		return false
	}
	c.on, c.due = false, false
	return !c.heard.Load()
}

// stop stops the check, and reports whether it has had a read return, or is to.
func (c *inputCheck) stop() (due bool) {
	if !c.on {
		return false
	}
	c.on = false
	c.mu.Lock()
	defer c.mu.Unlock()
	due = c.due
	c.armed, c.due = false, false
	c.timer.Stop()
	return due
}

// end stops the check, and forgets the session.
func (c *inputCheck) end() {
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s = nil
}
