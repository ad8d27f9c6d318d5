package tcp

import (
	"sync"
	"time"
)

// slowSlices is how many parts WriteTimeout is watched in. A peer is slow if it has taken
// nothing in as many in a row. The process may be stopped in one of them for any time: that
// counts as one.
const slowSlices = 4

// slowWatch watches a write that waits for the peer. It has the write return with
// os.ErrDeadlineExceeded when there is something to look at.
type slowWatch struct {
	s     *Session
	slice time.Duration
	timer *time.Timer // nil: no WriteTimeout

	mu sync.Mutex
	// Guarded by mu.
	taken   uint64
	unacked int // bytes that the peer's system has not acknowledged
	strikes int // slices in a row without progress
	woken   bool
	stopped bool
}

// startWatch starts the watch of a writer with the turn, if there is none. sender says that
// the writer is a Send.
func (s *Session) startWatch(sender bool) {
	o := &s.out
	if o.watch != nil { // only who has the turn changes it
		return
	}
	w := &slowWatch{s: s, taken: o.taken.Load()}
	if d := s.server.writeTimeout; d > 0 {
		w.unacked, _ = unacked(s.socket())
		w.slice = max(d/slowSlices, 1)
		w.timer = time.AfterFunc(w.slice, w.look) // stopWatch ends it
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watch, o.sender = w, sender
}

// stopWatch ends the watch. Its writer has the turn still.
func (s *Session) stopWatch() {
	o := &s.out
	w := o.watch
	if w == nil {
		return
	}
	o.mu.Lock()
	o.watch, o.sender = nil, false
	o.mu.Unlock()
	w.stop()
}

// look is called after each slice.
func (w *slowWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	taken, left := w.s.out.taken.Load(), 0
	moved := taken != w.taken
	if rest, ok := unacked(w.s.socket()); ok {
		moved = moved || rest < w.unacked
		left = rest
	}
	w.taken, w.unacked = taken, left
	if moved {
		w.strikes = 0
	} else {
		w.strikes++
	}
	// What is not written to a socket directly tells how much it has taken only when it returns.
	if w.strikes >= slowSlices || !w.s.canWriteNow() && w.s.resumable() {
		w.wakeLocked()
	}
	w.timer.Reset(w.slice)
}

// wake has the write return. A nil watch has none.
func (w *slowWatch) wake() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.wakeLocked()
	}
}

func (w *slowWatch) wakeLocked() {
	w.woken = true
	_ = w.s.conn.SetWriteDeadline(past) // a closed connection tells at the write
}

// rearm lets the next write wait again. It reports whether the peer is slow, which it is not
// if it has just taken something.
func (w *slowWatch) rearm(moved bool) (slow bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clearLocked()
	if moved {
		w.strikes, w.taken = 0, w.s.out.taken.Load()
	}
	return w.strikes >= slowSlices
}

func (w *slowWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.clearLocked()
}

func (w *slowWatch) clearLocked() {
	if w.woken {
		w.woken = false
		_ = w.s.conn.SetWriteDeadline(time.Time{})
	}
}

// past is a deadline that ends what waits.
var past = time.Unix(1, 0)
