package measure

import (
	"context"
	"runtime"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// settleDelay is the time that implementations with goroutines of their own get
// to finish their registrations.
const settleDelay = 100 * time.Millisecond

func memory(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	before := procstat.InUse()
	s, err := newSessions(c, timers.Config{Idle: idleTimeout})
	if err != nil {
		return nil, nil, err
	}
	defer s.Stop()
	for id := range int64(c.Size) {
		s.Register(id, idleTimeout)
	}
	time.Sleep(settleDelay)
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	after := procstat.InUse()
	runtime.KeepAlive(s)
	return map[string]float64{"bytes/session": float64(int64(after-before)) / float64(c.Size)}, nil, nil
}
