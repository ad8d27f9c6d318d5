package proxyproto

import (
	"container/list"
	"net"
	"sync"
	"time"
)

// minWait is how long a connection may wait for its header before it can be closed
// to make room for another: long enough to read what has already arrived.
const minWait = time.Second

// waitList limits the number of connections that wait for their header or for
// Accept.
type waitList struct {
	slots chan struct{} // holds a value for each connection that waits

	mu sync.Mutex
	// Guarded by mu.
	headers list.List // of waiter: the connections that wait for their header, oldest first
	closed  bool
}

type waiter struct {
	conn  net.Conn
	since time.Time
}

// add waits for a free slot and appends conn to the list. It reports false if the
// listener is closed. Only acceptLoop calls it.
func (w *waitList) add(conn net.Conn, closing <-chan struct{}) (e *list.Element, ok bool) {
	if !w.acquireSlot(closing) {
		return nil, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, false
	}
	return w.headers.PushBack(waiter{conn, time.Now()}), true
}

// acquireSlot waits for a free slot. If there is none, it closes the connection
// that has waited longest for its header, once that has waited for minWait. It
// reports false if the listener is closed.
func (w *waitList) acquireSlot(closing <-chan struct{}) bool {
	for {
		select {
		case w.slots <- struct{}{}:
			return true
		default:
		}
		var retry <-chan time.Time // nil: no connection to close, so wait for a slot
		conn, left := w.removeOverdue()
		switch {
		case conn != nil:
			_ = conn.Close() // its goroutine then releases its slot
		case left > 0:
			retry = time.After(left)
		}
		select {
		case w.slots <- struct{}{}:
			return true
		case <-closing:
			return false
		case <-retry:
		}
	}
}

// removeOverdue removes and returns the connection that has waited longest for its
// header, if it has waited for minWait. Otherwise it returns a nil connection and
// the rest of that time, or 0 if no connection waits for its header.
func (w *waitList) removeOverdue() (conn net.Conn, left time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	oldest := w.headers.Front()
	if oldest == nil {
		return nil, 0
	}
	if left = minWait - time.Since(oldest.Value.(waiter).since); left > 0 {
		return nil, left
	}
	return w.removeLocked(oldest), 0
}

// releaseSlot frees a slot.
func (w *waitList) releaseSlot() { <-w.slots }

// remove removes a connection whose header was read or could not be read. It
// reports false if the connection was removed earlier.
func (w *waitList) remove(e *list.Element) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.removeLocked(e) != nil
}

// removeLocked removes and returns the connection at e, or returns nil if it was
// removed earlier.
func (w *waitList) removeLocked(e *list.Element) net.Conn {
	v, ok := e.Value.(waiter)
	if !ok {
		return nil
	}
	w.headers.Remove(e)
	e.Value = nil
	return v.conn
}

// close makes add fail, and removes and returns all connections.
func (w *waitList) close() (conns []net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.headers.Len() > 0 {
		conns = append(conns, w.removeLocked(w.headers.Front()))
	}
	return conns
}
