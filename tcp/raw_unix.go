//go:build unix

package tcp

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// What tryRead got, if not a number of bytes or minus an error number.
const wouldWait = -1 << 31

// rawConn is the way past conn to its socket, if conn is a socket and nothing
// but a socket; else nil.
func rawConn(conn net.Conn) syscall.RawConn {
	var (
		rc  syscall.RawConn
		err error
	)
	switch c := conn.(type) {
	case *net.TCPConn:
		rc, err = c.SyscallConn()
	case *net.UnixConn:
		rc, err = c.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return rc
}

// awaitRaw is await on a socket: it takes a buffer only when there is something
// to read.
func (s *Session) awaitRaw() outcome {
	w := s.w
	if canPoll && !w.hurried && w.check.isOff() {
		w.check.start()
	}
	if err := s.raw.Read(w.try); err != nil {
		return s.awaitFailed(err)
	}
	switch n := w.got; {
	case n > 0:
		s.took(int(n))
		return hasInput
	case n == 0:
		s.ended = true
		return hasInput
	case n == wouldWait:
		return s.foundNothing()
	default:
		return s.awaitFailed(os.NewSyscallError("read", syscall.Errno(-n)))
	}
}

// tryRead reads what is there. If there is nothing, it reports false to be called again when
// there may be something, unless the session is in a hurry. The buffer is not held meanwhile
// unless part of a frame is in it.
func (w *worker) tryRead(fd uintptr) bool {
	s := w.s
	b := s.buf
	if b == nil {
		b = takeBuffer(s.hint)
		s.buf = b
	}
	for {
		n, err := syscall.Read(int(fd), b.data[b.end:])
		if err == nil {
			w.got = int32(n) // a read returns less than 2 GiB
			return true
		}
		switch errno := errnoOf(err); errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			if b.empty() {
				s.giveBack()
			} else {
				s.armFrame()
			}
			w.got = wouldWait
			return w.hurried
		default:
			w.got = -int32(errno)
			return true
		}
	}
}

// readNow reads what is there. If that is nothing, the error is os.ErrDeadlineExceeded, after
// which TLS can go on.
func (w *worker) readNow(rc syscall.RawConn, p []byte) (int, error) {
	w.into = p
	err := rc.Read(w.tryTLS)
	w.into = nil
	switch n := w.got; {
	case err != nil:
		return 0, err
	case n > 0:
		return int(n), nil
	case n == 0:
		return 0, io.EOF
	case n == wouldWait:
		return 0, os.ErrDeadlineExceeded
	default:
		return 0, os.NewSyscallError("read", syscall.Errno(-n))
	}
}

func (w *worker) tryReadInto(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), w.into)
		if err == nil {
			w.got = int32(n) // a read returns less than 2 GiB
			return true
		}
		switch errno := errnoOf(err); errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			w.got = wouldWait
			return true
		default:
			w.got = -int32(errno)
			return true
		}
	}
}

// errnoOf is the error number that a call of package syscall failed with.
func errnoOf(err error) syscall.Errno {
	errno, ok := err.(syscall.Errno) //nolint:errorlint // package syscall does not wrap
	if !ok {
		return syscall.EIO
	}
	return errno
}

// rawWrite is a write to a socket past its connection, which allocates nothing.
type rawWrite struct {
	f     func(uintptr) bool // try
	p     []byte
	n     int
	err   syscall.Errno
	taken *atomic.Uint64 // counts what the socket takes; nil: does not wait
}

// rawWrites holds what is free of rawWrite, for all servers.
var rawWrites = sync.Pool{New: func() any {
	w := new(rawWrite)
	w.f = w.try
	return w
}}

// try writes what the socket takes. When that is full, it asks to be called again if the
// write waits.
func (w *rawWrite) try(fd uintptr) bool {
	for len(w.p) > w.n {
		n, err := syscall.Write(int(fd), w.p[w.n:])
		if err == nil {
			w.n += n
			if w.taken != nil {
				w.taken.Add(uint64(n))
			}
			continue
		}
		switch errno := errnoOf(err); {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN && w.taken != nil:
			return false
		default:
			w.err = errno
			return true
		}
	}
	return true
}

// writeRaw writes what the socket takes at once. The error is nil when it is full.
func writeRaw(rc syscall.RawConn, p []byte) (int, error) { return writeRawTo(rc, p, nil) }

// writeRawAll writes all of p, and counts what the socket takes.
func writeRawAll(rc syscall.RawConn, p []byte, taken *atomic.Uint64) (int, error) {
	return writeRawTo(rc, p, taken)
}

func writeRawTo(rc syscall.RawConn, p []byte, taken *atomic.Uint64) (int, error) {
	w := rawWrites.Get().(*rawWrite)
	defer rawWrites.Put(w)
	w.p, w.n, w.err, w.taken = p, 0, 0, taken
	err := rc.Write(w.f)
	w.p, w.taken = nil, nil
	if err == nil && w.err != 0 && w.err != syscall.EAGAIN {
		err = os.NewSyscallError("write", w.err)
	}
	return w.n, err
}

// writeRest writes what TLS has encrypted.
func (w *wire) writeRest(fd uintptr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.rest) > 0 {
		n, err := syscall.Write(int(fd), w.rest)
		if err == nil {
			w.rest = w.rest[n:]
			w.session.out.taken.Add(uint64(n))
			continue
		}
		switch errno := errnoOf(err); errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return !w.waits
		default:
			w.errno = errno
			return true
		}
	}
	w.rest = nil
	return true
}
