package works

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// held is the heap and the stacks in use after garbage collection. Pools are
// empty after two collections, and stacks shrink by half at each.
func held() uint64 {
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// mallocs counts the allocations of this process.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// footprint is what the Go runtime has of the system's memory right now. It
// stops nothing.
func footprint() uint64 {
	s := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// rest brings the footprint down to what is in use.
func rest() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	return footprint()
}

// residentSet is the process's resident memory, or 0 where there is no /proc.
func residentSet(pid string) uint64 {
	text, err := os.ReadFile("/proc/" + pid + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

// ResidentSet is the resident memory of a process, or 0 where there is no /proc.
func ResidentSet(pid int) uint64 { return residentSet(strconv.Itoa(pid)) }

// Load is how many processes wanted a processor in the last minute, on average;
// 0 where there is no /proc.
func Load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	load, err := strconv.ParseFloat(strings.Fields(string(text) + " 0")[0], 64)
	if err != nil {
		return 0
	}
	return load
}
