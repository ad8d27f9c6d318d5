package tcptest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const defaultBuffer = 64 << 10

// Conn is one side of a connection: what Dial returns, and what Accept returns as a
// net.Conn. Its methods may be called from any goroutine. Only Read and Write block.
//
// Errors are those of a *net.TCPConn: a *net.OpError that wraps net.ErrClosed,
// os.ErrDeadlineExceeded, syscall.ECONNRESET or syscall.EPIPE; the end of the stream is
// io.EOF itself. There is no SyscallConn: no file descriptor is beneath it.
type Conn struct {
	link          *link
	peer          *Conn
	local, remote *net.TCPAddr

	// Guarded by link.mu.
	in       bytes.Buffer // written by the peer and not read yet
	limit    int          // of in, in bytes
	finished bool         // CloseWrite or Close was called: the peer reads EOF after its in
	closed   bool
	reset    bool // by the peer
	refused  bool // the peer was closed when something was written to it
	abort    bool // SetLinger(0) was called
	writing  bool // a Write is under way, and others wait for it
	reads    deadline
	writes   deadline
}

// link is what both sides of a connection share.
type link struct {
	mu      sync.Mutex
	changed *sync.Cond // anything that mu guards
}

// connect makes both sides of a connection.
func connect(client, server *net.TCPAddr, buffer int) (c, s *Conn) {
	if buffer <= 0 {
		buffer = defaultBuffer
	}
	shared := new(link)
	shared.changed = sync.NewCond(&shared.mu)
	c = &Conn{link: shared, local: client, remote: server, limit: buffer}
	s = &Conn{link: shared, local: server, remote: client, limit: buffer, peer: c}
	c.peer = s
	return c, s
}

// Read reads what the peer has written. It blocks until there is something, the peer has
// finished writing, which is io.EOF, the connection is reset or closed, or the read
// deadline passes.
func (c *Conn) Read(p []byte) (int, error) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case len(p) == 0:
			return 0, nil
		case c.reads.passed:
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case c.reset:
			return 0, c.fail("read", os.NewSyscallError("read", syscall.ECONNRESET))
		case c.in.Len() > 0:
			c.link.changed.Broadcast()
			return c.in.Read(p)
		case c.peer.finished:
			return 0, io.EOF
		}
		c.link.changed.Wait()
	}
}

// Write writes p to the peer's buffer. It blocks while the buffer is full, until the
// connection is reset or closed, or the write deadline passes, and returns how much it
// wrote. Concurrent Writes do not interleave.
//
// The first Write after the peer has closed succeeds, as far as the buffer holds it, and
// is lost; after it, the error is EPIPE.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	for c.writing && c.writeErrorLocked() == nil {
		c.link.changed.Wait()
	}
	if err := c.writeErrorLocked(); err != nil {
		return 0, err
	}
	c.writing = true
	defer func() {
		c.writing = false
		c.link.changed.Broadcast()
	}()
	for {
		m := c.putLocked(p[n:])
		if n += m; n == len(p) {
			return n, nil
		}
		if m == 0 {
			c.link.changed.Wait()
		}
		if err := c.writeErrorLocked(); err != nil {
			return n, err
		}
	}
}

// writeErrorLocked returns why nothing can be written now or later.
func (c *Conn) writeErrorLocked() error {
	switch {
	case c.closed:
		return c.fail("write", net.ErrClosed)
	case c.writes.passed:
		return c.fail("write", os.ErrDeadlineExceeded)
	case c.reset:
		return c.fail("write", os.NewSyscallError("write", syscall.ECONNRESET))
	case c.finished, c.refused:
		return c.fail("write", os.NewSyscallError("write", syscall.EPIPE))
	}
	return nil
}

// putLocked writes what there is room for.
func (c *Conn) putLocked(p []byte) int {
	n := min(len(p), max(0, c.peer.limit-c.peer.in.Len()))
	if c.peer.closed {
		c.refused = n > 0
		return n
	}
	if n > 0 {
		c.peer.in.Write(p[:n])
		c.link.changed.Broadcast()
	}
	return n
}

// Close closes the connection. It does not block, and ends Reads and Writes that do.
//
// The peer reads what it has not read yet, and then io.EOF. If this side has not read
// everything, or SetLinger(0) was called, the connection is reset as by Cut. The error of
// a second Close is net.ErrClosed.
func (c *Conn) Close() error { return c.close(false) }

// Cut closes the connection and resets it, as when the peer's process or the network is
// gone: what the other side has not read is lost, its Reads and Writes fail with
// ECONNRESET, and those that block return. The error is net.ErrClosed if this side was
// closed before.
func (c *Conn) Cut() error { return c.close(true) }

func (c *Conn) close(cut bool) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	if (cut || c.abort || c.in.Len() > 0) && !c.peer.closed {
		c.peer.reset = true
		c.peer.in = bytes.Buffer{}
	}
	c.closed, c.finished = true, true
	c.in = bytes.Buffer{}
	c.reads.clear()
	c.writes.clear()
	c.link.changed.Broadcast()
	return nil
}

// CloseWrite ends this side's stream: the peer reads what it has not read yet, and then
// io.EOF. It can still write, and this side can still read. Later Writes fail with EPIPE,
// and so do those that block.
func (c *Conn) CloseWrite() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.finished = true
	c.link.changed.Broadcast()
	return nil
}

// SetLinger says what Close does: if sec is 0, it resets the connection as Cut does; else
// it does not, unless there is unread input. There is nothing to wait for, so that a
// positive sec means the same as a negative one.
func (c *Conn) SetLinger(sec int) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	c.abort = sec == 0
	return nil
}

// SetReadBuffer changes how many bytes the peer can write before this side reads them.
// What is buffered already stays. Less than one is an error.
func (c *Conn) SetReadBuffer(size int) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	if size < 1 {
		return fmt.Errorf("tcptest: read buffer of %d bytes: use a positive number", size)
	}
	c.limit = size
	c.link.changed.Broadcast()
	return nil
}

// Buffered returns how many bytes the peer has written that this side has not read.
func (c *Conn) Buffered() int {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	return c.in.Len()
}

// LocalAddr returns the address of this side, a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the peer, a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, &c.reads, &c.writes) }

// SetReadDeadline sets the time after which Read fails with os.ErrDeadlineExceeded, even
// if there is something to read, and ends a Read that blocks. The zero time is none.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.reads) }

// SetWriteDeadline does the same for Write, which returns how much it wrote until then.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writes) }

func (c *Conn) setDeadlines(t time.Time, deadlines ...*deadline) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		d.set(t, c.link)
	}
	return nil
}

func (c *Conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
