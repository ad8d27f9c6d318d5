package netserver

import "sync"

// Ends counts sessions that have ended, and hands out channels that are closed then. A session
// that no one asks about costs nothing but the bool that its owner keeps for it.
// The zero value is ready to use, by any number of goroutines.
type Ends[S comparable] struct {
	mu sync.Mutex
	// Guarded by mu, as are the bools.
	asked map[S]chan struct{}
	count uint64
}

// Done returns a channel that End closes, or that is closed already. ended is the
// session's own bool, the same for End.
func (e *Ends[S]) Done(s S, ended *bool) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if done := e.asked[s]; done != nil {
		return done
	}
	done := make(chan struct{})
	if *ended {
		close(done)
		return done
	}
	if e.asked == nil {
		e.asked = make(map[S]chan struct{})
	}
	e.asked[s] = done
	return done
}

// End notes that the session has ended. It is called once.
func (e *Ends[S]) End(s S, ended *bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*ended = true
	e.count++
	if done := e.asked[s]; done != nil {
		close(done)
		delete(e.asked, s)
	}
}

// Count returns how many sessions have ended.
func (e *Ends[S]) Count() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}
