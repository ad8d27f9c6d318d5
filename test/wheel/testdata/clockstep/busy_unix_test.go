//go:build unix

package clockstep

import (
	"syscall"
	"time"
)

// busySeconds is the processor time that the process has used so far.
func busySeconds() float64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		panic(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano()).Seconds()
}
