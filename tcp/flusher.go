package tcp

import (
	"sync"
	"time"
)

// flushAfter is how long what is posted during a callback is gathered at most.
const flushAfter = 10 * time.Millisecond

// flusher writes what was posted to sessions whose callbacks take long. It flushes a session
// at most once per flushAfter, however much it posts.
type flusher struct {
	mu sync.Mutex
	// Guarded by mu.
	sessions []*Session
	timer    *time.Timer
	stopped  bool

	running sync.WaitGroup // the timer's call; stop waits for it
}

// add has the session flushed after flushAfter.
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
	if len(f.sessions) > 1 {
		return
	}
	f.running.Add(1)
	if f.timer == nil {
		f.timer = time.AfterFunc(flushAfter, f.run)
	} else {
		f.timer.Reset(flushAfter)
	}
}

func (f *flusher) run() {
	defer f.running.Done()
	f.mu.Lock()
	sessions := f.sessions
	f.sessions = nil
	f.mu.Unlock()
	for _, s := range sessions {
		s.marks.clear(markListed)
		s.flush()
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
