//go:build !unix

package tcp

import (
	"net"
	"sync/atomic"
	"syscall"
)

// rawConn finds no way past a connection: the callbacks of syscall.RawConn do
// not wait for a socket here.
func rawConn(net.Conn) syscall.RawConn { return nil }

// awaitRaw and tryRead are never called without a raw connection.
func (s *Session) awaitRaw() bool { return s.awaitConn() }

func (s *Session) tryRead(uintptr) bool { return true }

// The rest is never called without a raw connection either.

func (w *rawWrite) now(syscall.RawConn, []byte) (int, error) { return 0, nil }

func (w *rawWrite) waiting(syscall.RawConn, []byte, *atomic.Uint64) (int, error) { return 0, nil }

func (w *wire) writeRest(uintptr) bool { return true }
