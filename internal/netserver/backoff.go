package netserver

import "time"

// The shortest and the longest pause of a Backoff.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// Backoff spaces out attempts that fail one after the other: it pauses for 5 ms,
// then for twice as long each time, for 1 s at most. The zero value is ready to
// use, by one goroutine at a time.
type Backoff struct{ last time.Duration }

// Wait pauses. It returns early and reports false if stop is closed.
func (b *Backoff) Wait(stop <-chan struct{}) bool {
	b.last = min(max(minPause, 2*b.last), maxPause)
	t := time.NewTimer(b.last)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}

// Reset makes the next pause the shortest again, after an attempt that succeeded.
func (b *Backoff) Reset() { b.last = 0 }
