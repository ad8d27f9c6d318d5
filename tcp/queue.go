package tcp

import "time"

// queueClass is the class of buffer that replies are queued in, and maxQueue how
// many bytes it has.
const (
	queueClass = 1
	maxQueue   = minBuffer << queueClass
)

// Queue is Send for replies to a pipeline: what callbacks queue while frames that
// were received together are handled is sent in one go, before the session waits
// for input again and before Shutdown closes it. It is sent earlier when more
// than 16 KiB come together, which Queue then waits for as Send does; a p beyond
// that is not kept at all. So p is the caller's again when Queue returns, and a
// session that waits for input keeps no queue.
//
// Queue is for the session's callbacks. What another goroutine queues lies until
// the next frame, if any; there is Send for that. What was queued comes before
// what any goroutine sends afterwards, and each p stays whole. A callback that
// has to wait for something else sends what is queued with Send(nil) first.
//
// What is sent counts as activity and fails as with Send, which may be at a
// later Queue or Send or after the callback; the session is closed then in any
// case, and OnError is told. On a session that is closed, before or meanwhile,
// it is ErrSessionClosed.
//
// When Session.Close or a panic ends the session in the middle of a callback,
// what is queued is sent as far as a socket takes it at once, and any other
// connection within 200 milliseconds; for the reasons Timeout, Lifetime, Slow,
// FrameTimeout and Error it is dropped. A last reply that must arrive whole is
// followed by Finish instead.
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
