//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package console

import (
	"os"
	"syscall"
	"unsafe"
)

// terminalWidth returns the width of the terminal that f is, in characters. ok is
// false if f is not one. The width is 0 if the terminal does not know it.
func terminalWidth(f *os.File) (width int, ok bool) {
	var size struct{ rows, columns, x, y uint16 } // struct winsize
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	var errno syscall.Errno
	err = conn.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	})
	return int(size.columns), err == nil && errno == 0
}
