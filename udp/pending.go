package udp

import "sync"

// pieces are the sizes of memory that a waiting datagram takes.
var pieces = [...]int{512, 2 << 10, 8 << 10, 64 << 10}

// datagram is one that waits for its session.
type datagram struct {
	next  *datagram
	data  []byte // a whole piece
	n     int    // the datagram's length
	class int
}

// free holds datagrams to be used again, for all servers.
var free [len(pieces)]sync.Pool

// classOf is the least piece that holds n bytes.
func classOf(n int) int {
	class := 0
	for pieces[class] < n {
		class++
	}
	return class
}

// keep copies p to where it can wait; nil if there is no room.
func (srv *Server) keep(p []byte) *datagram {
	class := classOf(len(p))
	size := int64(pieces[class])
	if srv.pendingBytes.Add(size) > srv.maxPendingBytes {
		srv.pendingBytes.Add(-size)
		return nil
	}
	d, ok := free[class].Get().(*datagram)
	if !ok {
		d = &datagram{data: make([]byte, size), class: class}
	}
	d.n = copy(d.data, p)
	return d
}

// unkeep notes that d waits no more.
func (srv *Server) unkeep(d *datagram) { srv.pendingBytes.Add(-int64(pieces[d.class])) }

// discard drops a datagram that was kept and not queued. It may be nil.
func (srv *Server) discard(d *datagram) {
	if d != nil {
		srv.unkeep(d)
		d.giveBack()
	}
}

// giveBack lets others have d, whose content nobody may look at any more.
func (d *datagram) giveBack() {
	d.next = nil
	free[d.class].Put(d)
}

// queue is a list of datagrams, the first to come first.
type queue struct {
	head, tail *datagram
}

func (q *queue) push(d *datagram) {
	if q.head == nil {
		q.head = d
	} else {
		q.tail.next = d
	}
	q.tail = d
}

// pop returns nil if there is none.
func (q *queue) pop() *datagram {
	d := q.head
	if d != nil {
		q.head = d.next
		d.next = nil
	}
	return d
}
