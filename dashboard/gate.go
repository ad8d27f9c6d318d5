package dashboard

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

var errBusy = errors.New("as many searches wait as Config.MaxPages allows")

// gate lets one search at a time look at all sessions. A search is followed by a
// pause as long as itself, so that searches take half of one processor at most.
type gate struct {
	most    int64
	waiting atomic.Int64
	turn    chan struct{} // of one; full while a search runs or the gate rests
}

func newGate(most int) *gate {
	return &gate{most: int64(most), turn: make(chan struct{}, 1)}
}

// enter waits for the gate. The caller must leave it then. It reports errBusy if
// too many wait already, and the context's error if that ends first.
func (g *gate) enter(ctx context.Context) error {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.most {
		return errBusy
	}
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave opens the gate once it has rested as long as the search took.
func (g *gate) leave(entered time.Time) {
	time.AfterFunc(time.Since(entered), func() { <-g.turn })
}
