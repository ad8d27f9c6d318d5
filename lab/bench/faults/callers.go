package faults

import (
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// callers measures how long callers wait: it registers and closes a session each
// millisecond.
type callers struct {
	quit  atomic.Bool
	since atomic.Int64 // when the call under way began; 0 if there is none
	most  atomic.Int64 // the longest completed call
	start time.Time
}

// firstCallerID is beyond the IDs of all other sessions.
const firstCallerID = int64(1) << 40

// watchCallers starts the goroutine that calls. longest ends it, but does not
// wait for it, since the goroutine may be blocked forever.
func watchCallers(s timers.Sessions) *callers {
	w := &callers{start: time.Now()}
	go func() {
		for id := firstCallerID; !w.quit.Load(); id++ {
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

// longest ends the goroutine and returns the duration of the longest call, the
// call under way included.
func (w *callers) longest() time.Duration {
	w.quit.Store(true)
	most := time.Duration(w.most.Load())
	if since := time.Duration(w.since.Load()); since > 0 {
		most = max(most, time.Since(w.start)-since)
	}
	return most
}
