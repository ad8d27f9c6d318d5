package tcp

import (
	"sync"
	"time"
)

// defaultFlushAfter is how long what is posted is gathered at most, without a FlushInterval.
const defaultFlushAfter = 10 * time.Millisecond

// flusher writes what was gathered: what is posted to sessions whose callbacks take long, and, with
// a FlushInterval, all that is posted otherwise. It flushes a session at most once in that time,
// however much is posted, and one session after the other: when it cannot keep up, more is
// gathered.
type flusher struct {
	after time.Duration // immutable

	mu sync.Mutex
	// Guarded by mu.
	due      []*Session // to be flushed at once
	flushing bool       // flushDue runs
	sessions []*Session // to be flushed by the timer
	timer    *time.Timer
	armed    bool // the timer, or its call runs
	stopped  bool

	running sync.WaitGroup // flushDue, and the timer's call; stop waits for them
}

// add has the session flushed after the time to gather.
func (f *flusher) add(s *Session) {
	if s.marks.set(markListed) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.stopped {
		f.sessions = append(f.sessions, s)
		f.armLocked()
	}
}

// addDue has the session flushed at once, unless it has been flushed within the time to gather.
func (f *flusher) addDue(s *Session) {
	if s.marks.set(markListed) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return
	}
	f.due = append(f.due, s)
	if !f.flushing {
		f.flushing = true
		f.running.Add(1)
		go f.flushDue() // owned by the server; ends when no session is due; stop waits for it
	}
}

func (f *flusher) flushDue() {
	defer f.running.Done()
	for {
		f.mu.Lock()
		due := f.due
		f.due = nil
		f.flushing = len(due) > 0
		f.mu.Unlock()
		if len(due) == 0 {
			return
		}
		f.flush(due)
	}
}

// armLocked arms the timer if there are sessions for it.
func (f *flusher) armLocked() {
	if f.armed || f.stopped || len(f.sessions) == 0 {
		return
	}
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
	f.flush(sessions)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	f.armLocked()
}

// flush flushes sessions. Those that go on gathering are left to the timer.
func (f *flusher) flush(sessions []*Session) {
	again := sessions[:0]
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
	f.armLocked()
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
