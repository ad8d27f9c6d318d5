package faults

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// peaks watches the number of goroutines and the memory.
type peaks struct {
	quit, done chan struct{}
	goroutines int
	memory     uint64
}

// watchPeaks starts a goroutine that looks each millisecond; stop ends it.
func watchPeaks() *peaks {
	p := &peaks{quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			p.goroutines = max(p.goroutines, runtime.NumGoroutine())
			p.memory = max(p.memory, footprint())
			select {
			case <-tick.C:
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

// stop waits for the goroutine and enters the goroutines in f.
func (p *peaks) stop(f Figures) {
	close(p.quit)
	<-p.done
	f[goroutines] = float64(p.goroutines)
}

// callers registers and closes sessions, one each millisecond.
type callers struct {
	quit  atomic.Bool
	since atomic.Int64 // when the call that is under way began; 0: none is
	most  atomic.Int64 // the longest call that is over
	start time.Time
}

// watchCallers starts the goroutine that calls; longest ends it, but does not
// wait for it, since it may be blocked for good.
func watchCallers(s timers.Sessions) *callers {
	w := &callers{start: time.Now()}
	go func() {
		for id := int64(1) << 40; !w.quit.Load(); id++ {
			began := time.Since(w.start)
			w.since.Store(int64(began))
			s.RegisterClose(id)
			w.since.Store(0)
			w.most.Store(max(w.most.Load(), int64(time.Since(w.start)-began)))
			time.Sleep(time.Millisecond)
		}
	}()
	return w
}

// longest is how long the longest call took, or has taken by now.
func (w *callers) longest() time.Duration {
	w.quit.Store(true)
	most := time.Duration(w.most.Load())
	if since := time.Duration(w.since.Load()); since > 0 {
		most = max(most, time.Since(w.start)-since)
	}
	return most
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

// inUse is the heap and the stacks in use after garbage collection. Pools are
// empty after two collections, and stacks shrink by half at each.
func inUse() uint64 {
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

// collections counts the garbage collections of this process.
func collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
