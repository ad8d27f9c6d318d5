package proxyproto

import (
	"container/list"
	"net"
	"sync"
	"time"
)

// grace is how long a connection may wait for its header before it gives way to
// another: time for what has come already to be read.
const grace = time.Second

// waiting bounds the connections that wait.
type waiting struct {
	places chan struct{} // one in it for each connection that waits, for its header or for Accept

	mu sync.Mutex
	// Guarded by mu.
	headers list.List // of waiter: those that wait for their header, the oldest first
	closed  bool
}

type waiter struct {
	conn  net.Conn
	since time.Time
}

// enter takes a place for conn. It reports false if the listener is closed. It
// is called on one goroutine.
func (w *waiting) enter(conn net.Conn, closing <-chan struct{}) (place *list.Element, ok bool) {
	if !w.takePlace(closing) {
		return nil, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, false
	}
	return w.headers.PushBack(waiter{conn, time.Now()}), true
}

// takePlace waits for a place. When there is none, it closes the connection that
// has waited longest for its header, if that is long enough.
func (w *waiting) takePlace(closing <-chan struct{}) bool {
	for {
		select {
		case w.places <- struct{}{}:
			return true
		default:
		}
		var again <-chan time.Time // nil: a place will be free, or Accept must take one
		conn, left := w.takeOverdue()
		switch {
		case conn != nil:
			_ = conn.Close() // its goroutine sees that, and leaves
		case left > 0:
			again = time.After(left)
		}
		select {
		case w.places <- struct{}{}:
			return true
		case <-closing:
			return false
		case <-again:
		}
	}
}

// takeOverdue takes the connection that has waited longest for its header off
// the list, if it has waited for grace; else it returns what is left of that, and
// 0 if none waits for a header.
func (w *waiting) takeOverdue() (conn net.Conn, left time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	oldest := w.headers.Front()
	if oldest == nil {
		return nil, 0
	}
	if left = grace - time.Since(oldest.Value.(waiter).since); left > 0 {
		return nil, left
	}
	return w.takeLocked(oldest), 0
}

// leave gives a place back.
func (w *waiting) leave() { <-w.places }

// arrived notes that a header was read, or is not to be had. It reports false if
// the connection was taken off the list before.
func (w *waiting) arrived(place *list.Element) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.takeLocked(place) != nil
}

// takeLocked takes what is at place off the list; nil if nothing is there any more.
func (w *waiting) takeLocked(place *list.Element) net.Conn {
	v, ok := place.Value.(waiter)
	if !ok {
		return nil
	}
	w.headers.Remove(place)
	place.Value = nil
	return v.conn
}

// close lets nobody enter any more, and returns the connections to close.
func (w *waiting) close() (conns []net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.headers.Len() > 0 {
		conns = append(conns, w.takeLocked(w.headers.Front()))
	}
	return conns
}
