//go:build !unix

package tcp

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// rawConn finds no way past a connection: the callbacks of syscall.RawConn do
// not wait for a socket here.
func rawConn(net.Conn) syscall.RawConn { return nil }

// awaitRaw and tryRead are never called without a raw connection.
func (s *Session) awaitRaw() outcome { return s.awaitConn() }

func (w *worker) tryRead(uintptr) bool { return true }

func (w *worker) tryReadInto(uintptr) bool { return true }

func (w *worker) readNow(syscall.RawConn, []byte) (int, error) { return 0, io.EOF }

// The rest is never called without a raw connection either.

func writeRaw(syscall.RawConn, []byte) (int, error) { return 0, nil }

func writeRawAll(syscall.RawConn, []byte, *atomic.Uint64) (int, error) { return 0, nil }

func (w *wire) writeRest(uintptr) bool { return true }
