package dashboard

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

var errBusy = errors.New("as many searches wait as Config.MaxPages allows")

// gate admits one search at a time. After a search it stays shut for as long as
// the search took, so searches use half of one processor at most.
type gate struct {
	max     int64
	waiting atomic.Int64
	turn    chan struct{} // capacity 1; full while the gate is shut
}

func newGate(limit int) *gate {
	return &gate{max: int64(limit), turn: make(chan struct{}, 1)}
}

// enter waits until the gate admits the caller, which must leave it then. The
// error is errBusy if too many callers wait already, or the context's.
func (g *gate) enter(ctx context.Context) error {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.max {
		return errBusy
	}
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave opens the gate again, after as long as the search took.
func (g *gate) leave(entered time.Time) {
	time.AfterFunc(time.Since(entered), func() { <-g.turn })
}
