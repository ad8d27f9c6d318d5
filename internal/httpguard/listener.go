// Package httpguard limits what the clients of an HTTP server can take, and refuses
// what a browser requests on behalf of another site.
package httpguard

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how long a connection may make no progress before it has to give
	// its place to a new one.
	patience = time.Second

	// maxWrite is how many bytes are written to a connection before that counts as
	// progress.
	maxWrite = 64 << 10

	// sendBuffer is the SO_SNDBUF of a connection, in bytes. Unless it is set, the kernel
	// buffers up to some megabytes for a peer that does not read.
	sendBuffer = 64 << 10
)

// Listener limits the number of connections, and ends those whose peer does not read.
type Listener struct {
	net.Listener

	// Immutable.
	places  int           // for connections; negative: there is no limit
	write   time.Duration // how long a write may make no progress
	began   time.Time
	closing chan struct{} // closed by Close

	mu sync.Mutex
	// Guarded by mu.
	open map[*conn]struct{}

	freed  chan struct{} // holds one: a place was freed
	closed sync.Once
}

// NewListener returns a Listener of l that has the given number of places, and no limit
// if that is negative. A connection ends when its peer takes nothing of a write for as
// long as the parameter write says.
func NewListener(l net.Listener, places int, write time.Duration) *Listener {
	return &Listener{
		Listener: l, places: places, write: write, began: time.Now(),
		closing: make(chan struct{}), open: make(map[*conn]struct{}), freed: make(chan struct{}, 1),
	}
}

// Accept returns the next connection. If all places are taken, the connection that has
// made no progress for longest is closed. If that is less than a second, Accept waits.
func (l *Listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if socket, ok := inner.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = socket.SetWriteBuffer(sendBuffer) // it fails for a connection that has ended
	}
	c := &conn{Conn: inner, l: l}
	c.progressed()
	for {
		stalest, wait := l.admit(c)
		if stalest != nil {
			stalest.reset()
		}
		if wait <= 0 {
			return c, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.freed:
		case <-l.closing:
			timer.Stop()
			_ = inner.Close()
			return nil, net.ErrClosed
		}
		timer.Stop()
	}
}

// admit gives c a place and returns the connection that has lost it, which is nil if
// there was a free one. If no connection has to give its place, admit returns how long
// to wait.
func (l *Listener) admit(c *conn) (stalest *conn, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.places >= 0 && len(l.open) >= l.places {
		for one := range l.open {
			if stalest == nil || one.active.Load() < stalest.active.Load() {
				stalest = one
			}
		}
		if idle := time.Since(l.began) - time.Duration(stalest.active.Load()); idle < patience {
			return nil, patience - idle
		}
		delete(l.open, stalest)
	}
	l.open[c] = struct{}{}
	return stalest, 0
}

// leave frees the place of a connection.
func (l *Listener) leave(c *conn) {
	l.mu.Lock()
	delete(l.open, c)
	l.mu.Unlock()
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// Close closes the listener. The connections stay open.
func (l *Listener) Close() error {
	l.closed.Do(func() { close(l.closing) })
	return l.Listener.Close()
}

// conn is a connection of a Listener.
type conn struct {
	net.Conn
	l *Listener

	active atomic.Int64 // when bytes were last transferred, in nanoseconds since l.began

	mu sync.Mutex
	// Guarded by mu.
	given time.Time // the write deadline that the owner of the connection has set
	own   time.Time // that of the current write; zero: there is none
}

func (c *conn) progressed() { c.active.Store(int64(time.Since(c.l.began))) }

// Read reads as any connection does.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.progressed()
	}
	return n, err
}

// Write writes p as long as the peer takes some of it within the Listener's limit,
// and no longer than the deadline that the owner has set.
func (c *conn) Write(p []byte) (written int, err error) {
	defer func() { _ = c.limit(time.Time{}) }() // a connection that is closed has no deadlines
	for {
		if err = c.limit(time.Now().Add(c.l.write)); err != nil {
			return written, err
		}
		var n int
		n, err = c.Conn.Write(p[written:min(len(p), written+maxWrite)])
		written += n
		if n > 0 {
			c.progressed()
		}
		if late := errors.Is(err, os.ErrDeadlineExceeded); late && (n == 0 || c.isOver()) {
			c.discard()
			return written, err
		} else if err != nil && !late || written == len(p) {
			return written, err
		}
	}
}

// limit sets the deadline of the current write.
func (c *conn) limit(own time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own = own
	return c.apply()
}

// apply sets the earlier one of the two write deadlines. c.mu must be held.
func (c *conn) apply() error {
	deadline := c.own
	if deadline.IsZero() || !c.given.IsZero() && c.given.Before(deadline) {
		deadline = c.given
	}
	return c.Conn.SetWriteDeadline(deadline)
}

// isOver reports whether the deadline that the owner has set is over.
func (c *conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.given.IsZero() && !time.Now().Before(c.given)
}

// SetWriteDeadline sets the owner's deadline.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = t
	return c.apply()
}

// SetDeadline sets the owner's deadline, and that for reading.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite closes the writing side, if the connection can do that.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection and frees its place.
func (c *conn) Close() error {
	c.l.leave(c)
	return c.Conn.Close()
}

// discard has the kernel drop what the peer has not read when the connection is
// closed. Otherwise it would keep that for minutes.
func (c *conn) discard() {
	if s, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		_ = s.SetLinger(0) // it fails if the connection is closed
	}
}

// reset closes a connection that has lost its place.
func (c *conn) reset() {
	c.discard()
	_ = c.Conn.Close()
}
