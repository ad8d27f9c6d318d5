package works

import (
	"context"
	"runtime"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

func memory(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	before := held()
	s, err := newSessions(c, timers.Config{Idle: idle})
	if err != nil {
		return nil, nil, err
	}
	defer s.Stop()
	for id := range int64(c.Size) {
		s.Register(id, idle)
	}
	time.Sleep(100 * time.Millisecond) // what is done behind the caller's back
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	after := held()
	runtime.KeepAlive(s)
	return map[string]float64{"bytes/session": float64(int64(after-before)) / float64(c.Size)}, nil, nil
}
