//go:build !unix

package tcp

import (
	"net"
	"syscall"
)

// rawConn finds no way past a connection: the callbacks of syscall.RawConn do
// not wait for a socket here.
func rawConn(net.Conn) syscall.RawConn { return nil }

// awaitRaw and tryRead are never called without a raw connection.
func (s *Session) awaitRaw() bool { return s.awaitConn() }

func (s *Session) tryRead(uintptr) bool { return true }

// now writes nothing: whatever there is goes through the connection.
func (w *rawWrite) now(syscall.RawConn, []byte) (int, error) { return 0, nil }
