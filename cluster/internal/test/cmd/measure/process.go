package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

// clockTick is the unit of /proc/PID/stat. USER_HZ is 100 on all Linux ports of Go.
const clockTick = 10 * time.Millisecond

// cpu returns the CPU time of all brokers together.
func (b *brokers) cpu() (time.Duration, error) {
	var all time.Duration
	for _, cmd := range b.cmds {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		// The name in parentheses may contain anything; utime and stime are the 14th
		// and the 15th field.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		var user, system int64
		if _, err := fmt.Sscan(string(fields[11])+" "+string(fields[12]), &user, &system); err != nil {
			return 0, err
		}
		all += time.Duration(user+system) * clockTick
	}
	return all, nil
}

// resident returns the resident memory of all brokers together, in bytes.
func (b *brokers) resident() (int, error) {
	all := 0
	for _, cmd := range b.cmds {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		var total, pages int
		if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
			return 0, err
		}
		all += pages * os.Getpagesize()
	}
	return all, nil
}

// ownCPU returns the CPU time of this process.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// heap returns the bytes in use on this process's heap.
func heap() int {
	runtime.GC()
	runtime.GC() // frees what finalizers have released
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int(s.HeapAlloc)
}
