package tcp

import (
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// slowSlices is how many parts WriteTimeout is watched in. A peer is slow if it has taken
// nothing in as many in a row. A part in which the process was stopped does not count.
const slowSlices = 4

// slowWatch watches the writes of a session that wait for the peer. It has such a write return
// with os.ErrDeadlineExceeded when there is something to look at. A session has one from the
// first of them on.
type slowWatch struct {
	s     *Session
	slice time.Duration // immutable; 0: no WriteTimeout
	timer wheel.Timer   // for look

	mu sync.Mutex
	// Guarded by mu.
	due     time.Time // when look is to be called
	armed   bool      // it will be
	watches bool      // a write waits
	ended   bool      // the session has ended
	taken   uint64    // bytes that the socket has taken
	unacked int       // bytes that the peer's system has not acknowledged
	strikes int       // slices in a row without progress
	woken   bool
}

// startWatch starts the watch for whoever has the turn, if it does not run. sender says that
// this is a Send.
func (s *Session) startWatch(sender bool) {
	o := &s.out
	if o.watching {
		return
	}
	o.mu.Lock()
	if o.watch == nil {
		o.watch = &slowWatch{s: s, slice: s.server.writeTimeout / slowSlices}
		o.watch.timer.Init(s.server.wheel, o.watch.look)
	}
	o.sender = sender
	o.mu.Unlock()
	o.watching = true
	o.watch.start()
}

// stopWatch ends the watch. The caller has the turn still.
func (s *Session) stopWatch() {
	o := &s.out
	if !o.watching {
		return
	}
	o.watching = false
	o.mu.Lock()
	o.sender = false
	o.mu.Unlock()
	o.watch.stop()
}

func (w *slowWatch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches, w.taken, w.unacked, w.strikes = true, w.s.out.taken.Load(), 0, 0
	switch {
	case w.slice == 0 || w.ended:
	case w.armed: // since a write before, so the first slice is a short one
		w.strikes = -1
	default:
		w.armLocked()
	}
}

// armLocked has look called after a slice. That ends by itself when no write waits, or with
// the session.
func (w *slowWatch) armLocked() {
	w.armed, w.due = true, time.Now().Add(w.slice)
	w.timer.Reset(w.slice)
}

// look is called after each slice.
func (w *slowWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.armed = w.watches && !w.ended; !w.armed {
		return
	}
	taken, left := w.s.out.taken.Load(), 0
	moved := taken != w.taken
	if rest, ok := unacked(w.s.socket()); ok {
		moved = moved || rest < w.unacked
		left = rest
	}
	w.taken, w.unacked = taken, left
	switch {
	case moved:
		w.strikes = 0
	case time.Since(w.due) < w.s.server.wheel.Tick()+w.slice/2: // later than that, the process was stopped
		w.strikes++
	}
	// What is not written to a socket directly tells how much it has taken only when it returns.
	if w.strikes >= slowSlices || !w.s.canWriteNow() && w.s.resumable() {
		w.wakeLocked()
	}
	w.armLocked()
}

// wake has the write return. A nil watch has none.
func (w *slowWatch) wake() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watches {
		w.wakeLocked()
	}
}

func (w *slowWatch) wakeLocked() {
	w.woken = true
	_ = w.s.conn.SetWriteDeadline(past) // a closed connection tells at the write
}

// rearm lets the next write wait again. It reports whether the peer is slow, which it is not
// if it has just taken something, or nobody watches: then the write had another deadline.
func (w *slowWatch) rearm(moved bool) (slow bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clearLocked()
	if moved {
		w.strikes, w.taken = 0, w.s.out.taken.Load()
	}
	return w.strikes >= slowSlices || !w.watches
}

// stop leaves the timer as it is, since most writes are soon followed by others.
func (w *slowWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches = false
	w.clearLocked()
}

// endWatch stops the watch's timer, for good.
func (o *outbound) endWatch() {
	o.mu.Lock()
	w := o.watch
	o.mu.Unlock()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
}

func (w *slowWatch) clearLocked() {
	if w.woken {
		w.woken = false
		_ = w.s.conn.SetWriteDeadline(time.Time{})
	}
}

// past is a deadline that ends what waits.
var past = time.Unix(1, 0)
