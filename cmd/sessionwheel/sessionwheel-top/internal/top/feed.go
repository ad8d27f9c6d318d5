package top

import (
	"context"
	"errors"
	"sync"
	"time"
)

// sample is the server's state at one time.
type sample struct {
	at       time.Time
	stats    *stats       // nil if err is not
	sessions *sessionPage // nil if the server gave none
	closed   *closedList  // nil if the server gave none
	asked    query        // what sessions and closed are the answers to
	err      error        // why there is no sample

	// Why there are none of these although there are statistics.
	refused, refusedClosed error
}

// look asks the server for everything that is shown.
func (s *server) look(ctx context.Context, q query) sample {
	got := sample{at: time.Now(), asked: q}
	got.stats, got.err = s.stats(ctx)
	if got.err == nil && q.limit > 0 && q.open {
		got.sessions, got.err = s.sessions(ctx, q)
		got.refused, got.err = splitRefusal(got.err)
	}
	if got.err == nil && q.limit > 0 && q.closed {
		got.closed, got.err = s.closed(ctx)
		got.refusedClosed, got.err = splitRefusal(got.err)
	}
	return got
}

// splitRefusal tells a refusal of the server from other errors.
func splitRefusal(err error) (refusal, other error) {
	var r refusalError
	if errors.As(err, &r) {
		return r, nil
	}
	return nil, err
}

// feed looks at a server again and again.
type feed struct {
	server   *server
	interval time.Duration
	wake     chan struct{} // capacity 1

	mu     sync.Mutex
	query  query // guarded by mu
	paused bool  // guarded by mu
}

func newFeed(s *server, interval time.Duration, q query) *feed {
	return &feed{server: s, interval: interval, wake: make(chan struct{}, 1), query: q}
}

// ask changes what is looked at, and looks at once, even while paused.
func (f *feed) ask(q query) {
	f.mu.Lock()
	f.query = q
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// pause stops looking, but for ask, or goes on.
func (f *feed) pause(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = on
}

// run hands each sample to show, until ctx ends. A server that is gone is asked
// again at the next interval, as often as it takes.
func (f *feed) run(ctx context.Context, show func(sample)) {
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
			asked = true
		case <-ticker.C:
		}
		f.mu.Lock()
		q, paused := f.query, f.paused
		f.mu.Unlock()
		if paused && !asked {
			continue
		}
		if got := f.server.look(ctx, q); ctx.Err() == nil {
			show(got)
		}
	}
}
