package wheel

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// reportEvery is how often the driver reports the same event.
const reportEvery = 10 * time.Second

// What the driver reports.
type event int

const (
	rescued         event = iota // the library did not wake the wheel in time
	libraryDisabled              // the wheel stops using the library
	stood                        // the wheel did not run for more than 100ms
	heldUp                       // callbacks block, and the wheel waits for one to end
	eventNum        int   = iota
)

var events = [eventNum]struct {
	level slog.Level
	msg   string
}{
	rescued:         {slog.LevelWarn, "wheel: the library missed a slot"},
	libraryDisabled: {slog.LevelError, "wheel: the library is disabled"},
	stood:           {slog.LevelWarn, "wheel: stalled"},
	heldUp:          {slog.LevelWarn, "wheel: waiting for callbacks that block"},
}

// reporter logs for the driver, which must not wait for a Logger.
type reporter struct {
	log *slog.Logger // nil: silent

	// The driver's own.
	told [eventNum]time.Duration // the wheel's time of the last report; 0: none

	mu sync.Mutex
	// Guarded by mu.
	waiting []report
	writing bool
}

type report struct {
	of    event
	attrs []slog.Attr
}

// tell logs an event, unless it was told of such a one a moment ago. It is called
// by the driver and never blocks. The goroutine that writes ends when nothing is
// left to write; nobody waits for it, since a Logger may block for ever. What
// waits for it is bounded by the number of events.
func (r *reporter) tell(now time.Duration, of event, attrs ...slog.Attr) {
	if r.log == nil || r.told[of] != 0 && now-r.told[of] < reportEvery {
		return
	}
	r.told[of] = now
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) < eventNum {
		r.waiting = append(r.waiting, report{of, attrs})
	}
	if !r.writing {
		r.writing = true
		go r.write()
	}
}

func (r *reporter) write() {
	for {
		r.mu.Lock()
		if len(r.waiting) == 0 {
			r.writing = false
			r.mu.Unlock()
			return
		}
		next := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.mu.Unlock()
		e := events[next.of]
		r.log.LogAttrs(context.Background(), e.level, e.msg, next.attrs...)
	}
}
