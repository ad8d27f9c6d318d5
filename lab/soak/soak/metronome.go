package soak

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	beat = 5 * time.Millisecond

	// turns is how many goroutines must be scheduled, one after the other, until
	// a callback of a timer runs or the bytes of a peer are answered, with a few
	// to spare.
	turns = 10

	// slack is what is allowed over what is promised, beside the scheduler's
	// delay.
	slack = 1500 * time.Millisecond
)

// metronome measures the scheduler's delay: how much longer than a beat its
// goroutine sleeps.
type metronome struct {
	quit, done chan struct{}

	mu    sync.Mutex
	worst time.Duration // guarded by mu
}

// startMetronome starts the goroutine; stop ends it and waits for it.
func startMetronome() *metronome {
	m := &metronome{quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for {
			before := time.Now()
			select {
			case <-m.quit:
				return
			case <-time.After(beat):
			}
			m.note(time.Since(before) - beat)
		}
	}()
	return m
}

func (m *metronome) note(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.worst = max(m.worst, d)
}

// delay is the longest so far.
func (m *metronome) delay() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.worst
}

func (m *metronome) stop() {
	close(m.quit)
	<-m.done
}

// allowed is how late something may be that is promised within d, where the
// scheduler's delay was so much.
func allowed(d, delay time.Duration) time.Duration {
	return d + slack + turns*delay
}

// starved tells whether this machine may have kept a peer for d from what it had to do, so
// that the server has timed it out.
func (r *Run) starved(d time.Duration) bool { return turns*r.delay.delay() > d }

// patiently has a peer try again, for a while, what it did not do in time because it was
// starved. It has at most d for it.
func (r *Run) patiently(ctx context.Context, d time.Duration, try func() error) error {
	for end := time.Now().Add(callbackPatience); ; {
		err := try()
		if err == nil || !r.starved(d) || time.Now().After(end) || pause(ctx, goodEvery) != nil {
			return err
		}
	}
}

// percentile is the least value that p percent of the values do not exceed. It
// sorts them.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, len(values)*p/100)]
}
