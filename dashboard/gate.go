package dashboard

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

var errBusy = errors.New("as many requests wait as Config.MaxPages allows")

// gate admits one request at a time to what costs time. Afterwards it stays shut for as
// long as that took, so the requests use half of one processor at most.
type gate struct {
	max     int64
	waiting atomic.Int64
	turn    chan struct{} // capacity 1; full while the gate is shut
}

func newGate(limit int) *gate {
	return &gate{max: int64(limit), turn: make(chan struct{}, 1)}
}

// enter waits until the gate admits the caller, which must call leave then. The error is
// errBusy if too many callers wait already, or the context's.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.max {
		return nil, errBusy
	}
	select {
	case g.turn <- struct{}{}:
		entered := time.Now()
		return func() { time.AfterFunc(time.Since(entered), func() { <-g.turn }) }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve answers a request with what read returns, which it calls when the gate admits it.
func (g *gate) serve(w http.ResponseWriter, r *http.Request, read func() any) {
	body, err := g.do(r.Context(), read)
	if err != nil {
		writeSearchError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// do returns the JSON of what read returns. The error is that of enter.
func (g *gate) do(ctx context.Context, read func() any) ([]byte, error) {
	leave, err := g.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave() // also if read panics
	return encode(read()), nil
}
