package tcp

import "github.com/sessionwheel/sessionwheel/internal/preempt"

// breakOff drops what is queued and gives the turn back: nothing is written any more. The
// error is that of a write, or nil when all has been written.
func (s *Session) breakOff(err error) {
	o := &s.out
	o.mu.Lock()
	o.closed, o.turn = true, false
	o.broken = o.broken || err != nil
	for o.queue.head != nil {
		s.dropLocked(o.queue.pop(), err)
	}
	if o.finished != nil && !o.over {
		close(o.finished)
	}
	o.over = true
	o.mu.Unlock()
	s.wakeEnd()
}

// closeOutbound refuses what is sent and posted from now on, and returns without waiting the
// Sends that have not begun. It reports whether something waits.
func (s *Session) closeOutbound() (waits bool) {
	o := &s.out
	o.mu.Lock()
	o.closed = true
	all := o.queue
	o.queue = chunks{}
	for c := all.head; c != nil; c = all.head {
		all.pop()
		if c.send && !c.begun {
			s.dropLocked(c, ErrSessionClosed)
		} else {
			o.queue.push(c)
		}
	}
	waits = o.turn || o.queue.head != nil
	sending := o.sender || o.queue.head != nil && o.queue.head.send
	w := o.watch
	o.mu.Unlock()
	preempt.At("close: the queue is closed")
	if sending { // it is not to wait for the peer any more
		w.wake()
	}
	return waits
}

// finishOutbound has the writing side closed behind what is queued, and p before that. The
// channel that it returns is closed then, or when a write has failed.
func (s *Session) finishOutbound(p []byte) (finished <-chan struct{}) {
	o := &s.out
	o.mu.Lock()
	if o.finished == nil {
		o.finished = make(chan struct{})
		if o.over {
			close(o.finished)
		}
	}
	finished = o.finished
	if len(p) > 0 && !o.broken && !o.last {
		o.queue.push(&chunk{data: p})
		s.addWaiting(len(p))
	}
	o.last = true
	turn := !o.turn && !o.over
	if turn {
		o.turn = true
	}
	o.mu.Unlock()
	if turn {
		_, _ = s.pump()
	}
	return finished
}

// broke reports whether a write has failed.
func (s *Session) broke() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.broken
}
