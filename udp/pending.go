package udp

import "sync"

// bufferSizes are the sizes of the buffers that pending datagrams are copied to,
// in bytes and in ascending order. A size class is an index into it.
var bufferSizes = [...]int{512, 2 << 10, 8 << 10, 64 << 10}

// freeDatagrams holds datagrams for reuse, by size class, for all servers.
var freeDatagrams [len(bufferSizes)]sync.Pool

// datagram is a copy of a received datagram, linked into its session's queue.
type datagram struct {
	next  *datagram
	data  []byte // has the length of its size class
	n     int    // the length of the datagram
	class int
}

// sizeClass returns the smallest size class whose buffers hold n bytes.
func sizeClass(n int) int {
	class := 0
	for bufferSizes[class] < n {
		class++
	}
	return class
}

// newDatagram returns a copy of p, whose buffer counts towards MaxPendingBytes
// until unreserve. It returns nil if that limit does not allow it.
func (srv *Server) newDatagram(p []byte) *datagram {
	class := sizeClass(len(p))
	size := int64(bufferSizes[class])
	if srv.pendingBytes.Add(size) > srv.maxPendingBytes {
		srv.pendingBytes.Add(-size)
		return nil
	}
	d, ok := freeDatagrams[class].Get().(*datagram)
	if !ok {
		d = &datagram{data: make([]byte, size), class: class}
	}
	d.n = copy(d.data, p)
	return d
}

// unreserve stops counting d towards MaxPendingBytes: it is no longer pending.
func (srv *Server) unreserve(d *datagram) { srv.pendingBytes.Add(-int64(bufferSizes[d.class])) }

// discard frees a datagram that was never queued. It does nothing if d is nil.
func (srv *Server) discard(d *datagram) {
	if d != nil {
		srv.unreserve(d)
		d.free()
	}
}

// free makes d available for reuse. The caller must not use it afterwards.
func (d *datagram) free() {
	d.next = nil
	freeDatagrams[d.class].Put(d)
}

// queue is a first-in, first-out list of datagrams.
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

// pop removes and returns the oldest datagram, or returns nil if the queue is
// empty.
func (q *queue) pop() *datagram {
	d := q.head
	if d != nil {
		q.head = d.next
		d.next = nil
	}
	return d
}
