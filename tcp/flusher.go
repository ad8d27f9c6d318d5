package tcp

import (
	"sync"
	"time"
)

// defaultFlushAfter is how long what is posted is gathered at most, without a FlushInterval.
const defaultFlushAfter = 10 * time.Millisecond

// flusher writes what was gathered: what is posted to sessions whose callbacks take long, and,
// with a FlushInterval, to those that were posted to before. It flushes a session at most once in
// that time, however much is posted, and one session after the other: when it cannot keep up, more
// is gathered.
type flusher struct {
	after time.Duration // immutable

	mu sync.Mutex
	// Guarded by mu.
	sessions []*Session
	timer    *time.Timer
	armed    bool // the timer, or its call runs
	stopped  bool

	running sync.WaitGroup // the timer's call; stop waits for it
}

// add has the session flushed after the time to gather.
func (f *flusher) add(s *Session) {
	if s.marks.set(markListed) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return
	}
	f.sessions = append(f.sessions, s)
	if !f.armed {
		f.armLocked()
	}
}

func (f *flusher) armLocked() {
	f.armed = true
	f.running.Add(1)
	if f.timer == nil {
		f.timer = time.AfterFunc(f.after, f.run)
	} else {
		f.timer.Reset(f.after)
	}
}

func (f *flusher) run() {
	defer f.running.Done()
	f.mu.Lock()
	sessions := f.sessions
	f.sessions = nil
	f.mu.Unlock()
	again := sessions[:0] // those that go on gathering
	for _, s := range sessions {
		if s.server.flushInterval > 0 && s.flush() {
			again = append(again, s)
			continue
		}
		s.marks.clear(markListed)
		s.flush() // what was gathered before that
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = append(f.sessions, again...)
	if f.armed = len(f.sessions) > 0 && !f.stopped; f.armed {
		f.armLocked()
	}
}

// stop ends the flusher when no session is left.
func (f *flusher) stop() {
	f.mu.Lock()
	f.stopped = true
	if f.timer != nil && f.timer.Stop() {
		f.running.Done()
	}
	f.mu.Unlock()
	f.running.Wait()
}
