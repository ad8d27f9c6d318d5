package clock

import (
	"syscall"
	"time"
	"unsafe"
)

const clockBoottime = 7

// bootTime returns the time since the machine was started, suspension included.
func bootTime() (time.Duration, bool) {
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0)
	return time.Duration(ts.Nano()), errno == 0
}
