package tcp

import (
	"sync"
	"sync/atomic"
)

// chunk is part of a session's queue.
type chunk struct {
	next   *chunk
	data   []byte       // what is still to be written
	buf    *queueBuffer // what data lies in, if more can be appended there; else nil
	shared *sharedCopy  // what data lies in, if it is of a Group; else nil
	size   int          // reserved for data by itself, without buf or shared
	sent   int          // how many of the last bytes of data are not of Post, but of a Send that follows

	// Of a Send, which waits until the chunk leaves the queue: data is its caller's.
	send  bool
	takes bool          // it has no data, and then has the turn
	begun bool          // part of it has been written
	err   error         // what the Send returns
	gone  bool          // it has left the queue
	done  chan struct{} // closed then; nil if the Send itself writes
}

// posted returns how many bytes of Post are still to be written.
func (c *chunk) posted() int {
	if c.send {
		return 0
	}
	return max(0, len(c.data)-c.sent)
}

// chunks is a queue. The zero value is an empty one.
type chunks struct{ head, tail *chunk }

func (q *chunks) push(c *chunk) {
	if q.head == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
}

// pushFront puts a chunk before all others.
func (q *chunks) pushFront(c *chunk) {
	c.next = q.head
	q.head = c
	if q.tail == nil {
		q.tail = c
	}
}

func (q *chunks) pop() *chunk {
	c := q.head
	if q.head = c.next; q.head == nil {
		q.tail = nil
	}
	c.next = nil
	return c
}

// The sizes of buffers that small posts are gathered in.
const (
	smallQueue = 2 << 10
	maxQueue   = 16 << 10
)

// queueBuffer is such a buffer, with the chunk that it is used for. Its data is as long as
// what lies in it.
type queueBuffer struct {
	data  []byte
	chunk chunk
}

// queueBuffers holds free buffers of smallQueue and of maxQueue bytes, for all servers.
var queueBuffers [2]sync.Pool

// takeQueueBuffer returns an empty buffer of smallQueue bytes, or, if that is too little
// for need, of maxQueue.
func takeQueueBuffer(need int) *queueBuffer {
	class, size := 0, smallQueue
	if need > smallQueue {
		class, size = 1, maxQueue
	}
	if b, ok := queueBuffers[class].Get().(*queueBuffer); ok {
		return b
	}
	return &queueBuffer{data: make([]byte, 0, size)}
}

func (b *queueBuffer) giveBack() {
	class := 0
	if cap(b.data) > smallQueue {
		class = 1
	}
	b.data = b.data[:0]
	queueBuffers[class].Put(b)
}

// sharedCopy is a copy of what a Group posts, made when the first member has to queue it.
type sharedCopy struct {
	data   []byte
	refs   atomic.Int32 // the chunks that it is part of, and the Group while it posts
	server *Server      // of the first member that queued it, whose MaxPendingBytes it counts towards
}

func (c *sharedCopy) release() {
	if c.refs.Add(-1) == 0 {
		c.server.unreserve(len(c.data))
	}
}

// The length from which a Group's members share a copy: sharing takes less memory than another
// copy, but each shared copy takes a write of its own, which a FlushInterval is to avoid.
const (
	minShared         = 256
	minSharedGathered = 4 << 10
)

func (srv *Server) minShared() int {
	if srv.flushInterval > 0 {
		return minSharedGathered
	}
	return minShared
}

// broadcast is a Group's post on its way from member to member.
type broadcast struct{ shared *sharedCopy }

// copy returns the copy of p, which it makes for the first member, or nil if that
// member's server has no memory left for it.
func (b *broadcast) copy(srv *Server, p []byte) *sharedCopy {
	if b.shared == nil {
		if !srv.reserve(len(p)) {
			return nil
		}
		b.shared = &sharedCopy{data: append([]byte(nil), p...), server: srv}
		b.shared.refs.Add(1)
	}
	return b.shared
}

// end lets go of the copy, when all members have been asked.
func (b *broadcast) end() {
	if b.shared != nil {
		b.shared.release()
	}
}

// enqueueLocked queues a copy of p, or of its end from n on, which is posted. It reports
// false if the server has no memory left for it.
func (s *Session) enqueueLocked(p []byte, n int, b *broadcast) bool {
	o, rest := &s.out, p[n:]
	if b != nil && len(rest) >= s.server.minShared() {
		c := b.copy(s.server, p)
		if c == nil {
			return false
		}
		c.refs.Add(1)
		o.queue.push(&chunk{data: c.data[n:], shared: c})
		s.addWaiting(len(rest))
		return true
	}
	if t := o.queue.tail; t != nil && t.buf != nil && s.gatherLocked(t, rest) {
		s.addWaiting(len(rest))
		return true
	}
	if len(rest) > maxQueue {
		if !s.server.reserve(len(rest)) {
			return false
		}
		o.queue.push(&chunk{data: append([]byte(nil), rest...), size: len(rest)})
		s.addWaiting(len(rest))
		return true
	}
	need := len(rest)
	if o.queue.tail != nil { // it seems to be much
		need = maxQueue
	}
	buf := takeQueueBuffer(need)
	if !s.server.reserve(cap(buf.data)) {
		buf.giveBack()
		return false
	}
	buf.data = append(buf.data, rest...)
	buf.chunk = chunk{data: buf.data, buf: buf}
	o.queue.push(&buf.chunk)
	s.addWaiting(len(rest))
	return true
}

// gatherLocked appends p to the chunk at the end, if there is room or the chunk can be moved
// to a larger buffer.
func (s *Session) gatherLocked(t *chunk, p []byte) bool {
	if len(t.buf.data)+len(p) > cap(t.buf.data) {
		// While somebody has the turn, that may be writing from the buffer.
		if s.out.turn || cap(t.buf.data) > smallQueue || len(t.data)+len(p) > maxQueue {
			return false
		}
		next := takeQueueBuffer(maxQueue)
		if !s.server.reserve(cap(next.data) - cap(t.buf.data)) {
			next.giveBack()
			return false
		}
		next.data, t.buf.data = t.buf.data, append(next.data, t.data...)
		t.data = t.buf.data
		next.giveBack()
	}
	t.buf.data = append(t.buf.data, p...)
	t.data = t.buf.data[len(t.buf.data)-len(t.data)-len(p):]
	return true
}

// dropLocked lets go of a chunk that has left the queue, with what its Send returns.
func (s *Session) dropLocked(c *chunk, err error) {
	if c.send {
		s.out.sends--
		c.err, c.gone = err, true
		if c.done != nil {
			close(c.done)
		}
		return
	}
	s.addWaiting(-c.posted())
	c.data = nil
	switch {
	case c.buf != nil: // and c with it
		s.server.unreserve(cap(c.buf.data))
		c.buf.giveBack()
	case c.shared != nil:
		c.shared.release()
	default:
		s.server.unreserve(c.size)
	}
}

// addWaiting counts bytes of Post that wait.
func (s *Session) addWaiting(n int) {
	if n != 0 {
		s.out.waiting.Add(int64(n))
		s.server.waiting.Add(int64(n))
	}
}
