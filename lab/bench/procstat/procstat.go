// Package procstat reads what a process uses: processor time, memory and
// goroutines.
package procstat

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

// CPUTime returns the processor time that this process has used, or 0 if the
// system does not say.
func CPUTime() time.Duration {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// InUse collects garbage and returns the bytes of heap and stacks in use. It
// collects several times, because a sync.Pool is empty only after two
// collections, and a stack shrinks by half at each.
func InUse() uint64 {
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// Mallocs returns the number of allocations since the process started.
func Mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// Collections returns the number of garbage collections since the process
// started.
func Collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

// Collect collects garbage n times. It returns the processor time that this took, as
// the runtime counts it, and how long the world was stopped.
func Collect(n int) (cpu, pause time.Duration) {
	cpuBefore, pauseBefore := collectorCPU(), collectorPause()
	for range n {
		runtime.GC()
	}
	return collectorCPU() - cpuBefore, collectorPause() - pauseBefore
}

func collectorCPU() time.Duration {
	s := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(s)
	return time.Duration(s[0].Value.Float64() * float64(time.Second))
}

func collectorPause() time.Duration {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return time.Duration(m.PauseTotalNs)
}

// Footprint returns the bytes that the Go runtime holds of the system's memory.
// It does not stop the world.
func Footprint() uint64 {
	s := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// Release returns unused memory to the system, and then the footprint.
func Release() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	return Footprint()
}

// ResidentSet returns the resident memory of a process in bytes, or 0 where
// there is no /proc.
func ResidentSet(pid int) uint64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
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

// LoadAverage returns how many processes wanted a processor during the last
// minute, on average, or 0 where there is no /proc.
func LoadAverage() float64 {
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
