package tcp

import (
	"syscall"
	"unsafe"
)

// unacked returns how many bytes the kernel holds that the peer's has not acknowledged, if
// that can be known.
func unacked(rc syscall.RawConn) (n int, ok bool) {
	if rc == nil {
		return 0, false
	}
	var v int32
	err := rc.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&v)))
		ok = errno == 0
	})
	return int(v), ok && err == nil
}
