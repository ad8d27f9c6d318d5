package tcp

import "time"

// queueClass is the class of buffer that replies are queued in, and maxQueue how
// many bytes it has.
const (
	queueClass = 1
	maxQueue   = minBuffer << queueClass
)

// Queue is like Send for replies to a pipeline. It copies p to a queue. The replies to all
// frames that were received together are sent in one write, before the session waits for
// input again and before Shutdown closes it. If more than 16 KiB would be queued, Queue
// writes the queue first and blocks as Send does; a longer p is written at once. Queue does
// not keep p.
//
// Queue is for the session's callbacks. What another goroutine queues would stay in the queue
// until the next frame; use Send there. Queued data is sent before anything that is sent
// later, and no p is interleaved with others. A callback that is about to wait for something
// else should call Send(nil) first, which sends the queue.
//
// Writing counts as activity and fails as with Send, but the error may be returned by a later
// Queue or Send, or occur after the callback. In any case the session is closed and OnError
// is called. If the session is closed before or during Queue, the error is ErrSessionClosed.
//
// If Session.Close or a panic ends the session during a callback, queued data is sent as far
// as a socket takes it at once, or, on another kind of connection, within 200 milliseconds.
// For the reasons Timeout, Lifetime, Slow, FrameTimeout and Error it is dropped. Use Finish
// after a last reply that must arrive.
func (s *Session) Queue(p []byte) error {
	n, of, err := s.enqueue(p)
	if err != nil {
		return s.sendFailed(n, of, err)
	}
	if len(p) > 0 {
		s.counts().framesOut.Add(1)
	}
	if n > 0 {
		s.sent()
	}
	return nil
}

// enqueue returns how many bytes it wrote of how many.
func (s *Session) enqueue(p []byte) (n, of int, err error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.broken || s.phase.Load() == phaseOver {
		return 0, 0, ErrSessionClosed
	}
	q := s.queue.Load()
	switch {
	case len(p) == 0:
		return 0, 0, nil
	case len(p) > maxQueue:
		return s.writeQueuedLocked(p)
	case q != nil && q.end+len(p) > maxQueue:
		if n, of, err = s.writeQueuedLocked(nil); err != nil {
			return n, of, err
		}
		q = nil
	}
	if q == nil {
		q = takeBuffer(queueClass)
		s.queue.Store(q)
	}
	q.end += copy(q.data[q.end:], p)
	return n, of, nil
}

// flush sends what is queued, which closes the session if it fails.
func (s *Session) flush() {
	if s.queue.Load() != nil {
		_ = s.Send(nil)
	}
}

// writeQueuedLocked writes what is queued and p behind it, as one if there is
// room.
//
//go:noinline
func (s *Session) writeQueuedLocked(p []byte) (n, of int, err error) {
	if q := s.queue.Swap(nil); q != nil {
		defer q.giveBack()
		if q.end+len(p) <= maxQueue {
			q.end += copy(q.data[q.end:], p)
			p = nil
		}
		of = q.end + len(p)
		if n, err = s.writeLocked(q.data[:q.end]); err != nil {
			return n, of, err
		}
	} else {
		of = len(p)
	}
	if len(p) > 0 {
		var rest int
		rest, err = s.writeLocked(p)
		n += rest
	}
	return n, of, err
}

// writeLast writes what is queued on a connection about to be closed, as far as
// that needs no waiting. If somebody is writing, that includes the queue, and
// closing the connection ends it.
func (s *Session) writeLast() {
	if s.queue.Load() == nil || !s.sending.TryLock() {
		return
	}
	defer s.sending.Unlock()
	q := s.queue.Swap(nil)
	if q == nil || s.broken {
		return
	}
	defer q.giveBack()
	s.broken = true // nothing follows
	last := q.data[:q.end]
	if w, ok := s.wire(); ok {
		w.parting.Store(true)
		if w.writing.Load() > 0 { // it may hold TLS's lock for long
			return
		}
	} else if s.raw == nil {
		_ = s.conn.SetWriteDeadline(time.Now().Add(farewellTimeout))
	}
	s.counts().bytesOut.Add(uint64(s.writeNow(last)))
}

// writeNow writes what the connection takes without waiting, or under the
// deadline that it has, and returns how much.
func (s *Session) writeNow(p []byte) (n int) {
	if s.raw != nil {
		n, _ = s.write.now(s.raw, p)
	} else {
		n, _ = s.conn.Write(p)
	}
	return n
}
