package tcp

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/internal/preempt"
)

// outbound is what a session has to write. Whoever has the turn writes: a Send, a Post as
// far as the connection takes it at once, the session's goroutine at the end of a batch, or
// a writer, which is a goroutine that ends when nothing waits any more. What others want to
// write meanwhile is queued, in order.
type outbound struct {
	mu sync.Mutex
	// Guarded by mu.
	queue    chunks
	turn     bool          // somebody has the turn
	closed   bool          // the session is closed: Send and Post are refused
	last     bool          // nothing more will be queued; behind the queue, the writing side is closed
	broken   bool          // a write has failed: nothing may follow it
	over     bool          // the writing side is closed, or broken
	sender   bool          // a Send has the turn, and waits for the peer
	sends    int32         // chunks of Sends in the queue
	finished chan struct{} // made with last; closed when over is set
	watch    *slowWatch    // made when something first waits for the peer, and kept

	waiting atomic.Int64  // bytes of Post that are queued; changes under mu
	taken   atomic.Uint64 // bytes that the socket has taken

	// Of whoever has the turn.
	watching bool // watch runs
	said     bool // TLS has said goodbye
	half     bool // the writing side is closed; read when finished is closed
}

const (
	maxPiece = 64 << 10 // what is written before it is counted
	maxPump  = 64 << 10 // what is written for others before a writer takes over
)

// endTurn gives the turn back, if nothing has been queued meanwhile.
func (s *Session) endTurn() bool {
	o := &s.out
	o.mu.Lock()
	if o.queue.head != nil || o.last {
		o.mu.Unlock()
		return false
	}
	o.turn = false
	o.mu.Unlock()
	s.wakeEnd()
	return true
}

// piece returns what is to be written next, nil if the queue is empty. Chunks that have been
// written leave the queue. If next is one that takes the turn, the caller is to hand it over.
func (s *Session) piece() (p []byte, next *chunk) {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := o.queue.head; c != nil; c = o.queue.head {
		switch {
		case len(c.data) > 0:
			c.begun = true
			return c.data[:min(len(c.data), maxPiece)], nil
		case c.takes:
			return nil, o.queue.pop()
		}
		s.dropLocked(o.queue.pop(), nil)
	}
	return nil, nil
}

// handOver hands the turn to whoever waits for it with c.
func (s *Session) handOver(c *chunk) {
	s.stopWatch()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.dropLocked(c, nil)
}

// takeTurn waits until all is written that is queued, and then has the turn. What is sent and
// posted from now on comes behind.
func (s *Session) takeTurn() error {
	o := &s.out
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return ErrSessionClosed
	}
	c := &chunk{send: true, takes: true, done: make(chan struct{})}
	o.queue.push(c)
	o.sends++
	write := !o.turn
	o.turn = true
	o.mu.Unlock()
	if write {
		_, _ = s.pump() // c tells if it fails
	}
	<-c.done
	return c.err
}

// wrote counts what was written of a piece.
func (s *Session) wrote(n int) {
	if n == 0 {
		return
	}
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.queue.head
	before := c.posted()
	c.data = c.data[n:]
	s.addWaiting(c.posted() - before)
	s.counts().bytesOut.Add(uint64(n))
}

// pump writes what is queued, as far as the connection takes it at once. The caller has the
// turn, which pump gives back or hands to a writer. It reports whether it wrote anything.
func (s *Session) pump() (wrote bool, err error) {
	for total := 0; ; {
		if err := s.flushTLS(); err != nil {
			return wrote, s.writeFailed(err)
		}
		if s.cipherWaits() {
			s.startWriter()
			return wrote, nil
		}
		p, next := s.piece()
		switch {
		case next != nil:
			s.handOver(next)
			return wrote, nil
		case p == nil && s.settle(false):
			return wrote, nil
		case p == nil:
			continue
		case total > maxPump:
			s.startWriter()
			return wrote, nil
		}
		preempt.At("pump: a piece is taken")
		n, err := s.writeNow(p)
		s.wrote(n)
		wrote = wrote || n > 0
		total += n
		if err != nil {
			return wrote, s.writeFailed(err)
		}
		if n < len(p) {
			s.startWriter()
			return wrote, nil
		}
	}
}

// startWriter hands the turn to a writer. The session does not time out while that writes. If
// the server has ended meanwhile, what is queued is dropped.
func (s *Session) startWriter() {
	if !s.server.enterHelper() {
		s.breakOff(ErrSessionClosed)
		return
	}
	s.ps.Pin()
	go func() { // owned by the server; ends when nothing waits or the connection is closed; Shutdown waits for it
		defer s.server.leaveHelper()
		_ = s.pumpWaiting(nil)
		s.unpinWritten()
	}()
}

// unpinWritten ends the pin of a write that may have taken long.
func (s *Session) unpinWritten() {
	if s.server.Activity == Received { // judged by the last frame
		s.ps.UnpinAndExpire()
		return
	}
	s.ps.Touch()
	s.ps.Unpin()
}

// pumpWaiting writes what is queued, and waits for the peer. The caller has the turn, which
// pumpWaiting gives back. If own is not nil, it is the caller's part of the queue, and
// pumpWaiting returns when that has been written; the turn then goes on if there is more.
func (s *Session) pumpWaiting(own *chunk) error {
	for wrote := false; ; wrote = true {
		s.startWatch(own != nil)
		preempt.At("write: the watch is started")
		if !s.detach() {
			s.stopWatch()
			return s.writeFailed(ErrSessionClosed)
		}
		var (
			p    []byte
			next *chunk
		)
		if !s.cipherWaits() {
			p, next = s.piece()
		}
		switch {
		case next != nil:
			s.handOver(next)
			return nil
		case own != nil && s.left(own):
			s.stopWatch()
			_, _ = s.pump() // what fails now is told to those whose it is
			return own.err
		case own == nil && wrote && s.leaveToBatch():
			return nil
		case p == nil && !s.cipherWaits():
			if s.settle(true) {
				return nil
			}
			continue
		}
		n, err := s.writeWaiting(p)
		s.wrote(n)
		if err != nil && !s.goesOn(n, err) {
			s.stopWatch()
			return s.writeFailed(err)
		}
	}
}

// leaveToBatch gives the turn back if callbacks gather still what a writer has found.
func (s *Session) leaveToBatch() bool {
	o := &s.out
	gathering := func() bool {
		n := o.waiting.Load()
		return n > 0 && n < maxQueue && s.inBatch()
	}
	if !gathering() {
		return false
	}
	s.stopWatch()
	o.mu.Lock()
	if !gathering() || o.sends > 0 || o.last {
		o.mu.Unlock()
		return false
	}
	o.queue.head.begun = false
	o.turn = false
	o.mu.Unlock()
	s.server.flusher.add(s)
	return true
}

// goesOn decides whether a write that has failed goes on: its deadline may have passed only
// so that the writer looks at what has changed.
func (s *Session) goesOn(n int, err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || s.secure() && !s.canWriteNow() {
		return false // what TLS has not written whole cannot be taken up again
	}
	slow := s.out.watch.rearm(n > 0)
	return !slow
}

// detach makes a copy of what is left of a Send that has begun, if the session is closed:
// the Send returns, and its frame is still sent to the end. It reports false if that is more
// than may wait.
func (s *Session) detach() bool {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.queue.head
	if !o.closed || c == nil || !c.send {
		return true
	}
	if !s.canKeep(c.data) {
		return false
	}
	o.queue.pop()
	s.pushRestLocked(c.data)
	s.dropLocked(c, ErrSessionClosed)
	return true
}

// canKeep reports whether the rest of a Send may wait without its caller.
func (s *Session) canKeep(rest []byte) bool { return len(rest) <= s.server.maxOutbound }

// pushRestLocked queues the rest of what was sent in part before all else.
func (s *Session) pushRestLocked(rest []byte) {
	if len(rest) > 0 {
		s.out.queue.pushFront(&chunk{data: append([]byte(nil), rest...), begun: true})
		s.addWaiting(len(rest))
	}
}

// left reports whether a Send's chunk has left the queue.
func (s *Session) left(own *chunk) bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return own.gone
}

// settle gives the turn back if nothing is queued, and reports whether it did. If nothing
// more will be queued, it closes the writing side first.
func (s *Session) settle(mayWait bool) bool {
	o := &s.out
	s.stopWatch()
	preempt.At("settle: the queue was empty")
	o.mu.Lock()
	switch {
	case o.queue.head != nil:
		o.mu.Unlock()
		return false
	case !o.last:
		o.turn = false
		o.mu.Unlock()
		s.wakeEnd()
		return true
	}
	o.mu.Unlock()
	if !o.said {
		if !mayWait && s.secure() && !s.canWriteNow() { // the goodbye of TLS may have to wait
			s.startWriter()
			return true
		}
		o.said = true
		s.sayGoodbye()
		if s.cipherWaits() {
			return false
		}
	}
	o.half = closeWrite(s.conn)
	s.breakOff(nil)
	return true
}

// writeFailed ends the session for a failed write. The caller has the turn, which is given
// back.
func (s *Session) writeFailed(err error) error {
	err = s.sendFailed(err)
	s.breakOff(err)
	return err
}
