package procstat

import (
	"runtime"
	"time"
)

// Peaks samples the number of goroutines and the footprint of this process.
type Peaks struct {
	quit, done chan struct{}
	goroutines int
	memory     uint64
}

// WatchPeaks starts a goroutine that samples each millisecond until Stop.
func WatchPeaks() *Peaks {
	p := &Peaks{quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			p.goroutines = max(p.goroutines, runtime.NumGoroutine())
			p.memory = max(p.memory, Footprint())
			select {
			case <-tick.C:
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

// Stop ends the sampling and returns the largest values seen.
func (p *Peaks) Stop() (goroutines int, memory uint64) {
	close(p.quit)
	<-p.done
	return p.goroutines, p.memory
}
