//go:build unix

package tcp

import (
	"net"
	"os"
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
func (s *Session) awaitRaw() bool {
	if s.try == nil {
		s.try = s.tryRead
	}
	for {
		if err := s.raw.Read(s.try); err != nil {
			return s.awaitFailed(err)
		}
		switch n := s.got; {
		case n > 0:
			s.took(int(n))
			return true
		case n == 0:
			s.ended = true
			return true
		case n == wouldWait:
			s.armFrame()
		default:
			return s.awaitFailed(os.NewSyscallError("read", syscall.Errno(-n)))
		}
	}
}

// tryRead reads what is there. It reports false to be called again when there
// may be something; the buffer is not held meanwhile unless part of a frame is
// in it.
func (s *Session) tryRead(fd uintptr) bool {
	b := s.buf
	if b == nil {
		b = takeBuffer(s.hint)
		s.buf = b
	}
	for {
		n, err := syscall.Read(int(fd), b.data[b.end:])
		if err == nil {
			s.got = int32(n) // a read returns less than 2 GiB
			return true
		}
		switch errno := errnoOf(err); errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			if b.empty() {
				s.giveBack()
				return false
			}
			s.got = wouldWait // before the rest of a frame is waited for, its deadline is set
			return !s.armed && s.server.frameTimeout > 0
		default:
			s.got = -int32(errno)
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

// now writes what the socket takes at once. The error is nil when it is full.
func (w *rawWrite) now(rc syscall.RawConn, p []byte) (int, error) { return w.run(rc, p, nil) }

// waiting writes all of p, and counts what the socket takes.
func (w *rawWrite) waiting(rc syscall.RawConn, p []byte, taken *atomic.Uint64) (int, error) {
	return w.run(rc, p, taken)
}

func (w *rawWrite) run(rc syscall.RawConn, p []byte, taken *atomic.Uint64) (int, error) {
	if w.f == nil {
		w.f = w.try
	}
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
