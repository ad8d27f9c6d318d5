//go:build !nocluster

package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// Why the load closes sessions.
const (
	loggedOut pool.Reason = "LoggedOut"
	kicked    pool.Reason = "Kicked"
)

// loadOrder says what a node's part of the load is.
type loadOrder struct {
	Seed    uint64
	Workers int
	IDs     int           // that all nodes' logins contend for
	Think   time.Duration // at most, between two operations of a worker
}

// logins is how many of a hundred operations are logins.
const logins = 55

// load is logins, takeovers, logouts, kicks and messages without end.
type load struct {
	n    *nodeProcess
	done atomic.Int64
	won  atomic.Int64 // unix nanoseconds: when the last login that succeeded was begun

	stop    context.CancelFunc // nil while it rests
	workers sync.WaitGroup
	sources []*rand.Rand // one for each worker
}

func newLoad(n *nodeProcess) *load {
	l := &load{n: n, stop: func() {}}
	for w := range n.o.Load.Workers {
		l.sources = append(l.sources, rand.New(rand.NewPCG(n.o.Load.Seed, uint64(w))))
	}
	return l
}

// begin starts the workers, which end waits for.
func (l *load) begin(ctx context.Context) {
	l.end()
	ctx, l.stop = context.WithCancel(ctx)
	for _, rng := range l.sources {
		l.workers.Go(func() {
			for ctx.Err() == nil {
				l.operate(ctx, rng)
				l.done.Add(1)
				_ = pause(ctx, time.Duration(rng.Int64N(int64(l.n.o.Load.Think)+1))) // the loop looks
			}
		})
	}
}

// end gives up what is under way, as clients do that hang up, and waits.
func (l *load) end() {
	l.stop()
	l.workers.Wait()
}

// operate does one thing to a session.
func (l *load) operate(ctx context.Context, rng *rand.Rand) {
	id := fmt.Sprint("u", rng.IntN(l.n.o.Load.IDs))
	limit := 5 * time.Second
	if rng.IntN(20) == 0 {
		limit = time.Duration(rng.Int64N(int64(20 * time.Millisecond))) // who gives up soon
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var what string
	var err error
	draw := rng.IntN(100)
	switch {
	case draw < logins:
		what = "a login"
		begun := time.Now().UnixNano()
		if _, err = l.n.pool.RegisterContext(ctx, id, guest{}, []byte("of "+id)); err == nil {
			l.win(begun)
		}
	case draw < 70:
		if s, ok := l.n.pool.Get(id); ok {
			s.Close(loggedOut)
		}
	case draw < 80:
		what, err = "a kick", l.n.node.Kick(ctx, id, kicked)
	default:
		what, err = "a message", l.n.node.Send(ctx, id, []byte(id))
	}
	full := draw < logins && l.n.o.MaxBytes != 0 && errors.Is(err, cluster.ErrFull)
	if err != nil && !transient(err) && !errors.Is(err, cluster.ErrNotFound) && !full {
		l.n.strange("%s for %s failed: %v", what, id, err)
	}
}

func (l *load) win(begun int64) {
	for old := l.won.Load(); begun > old; old = l.won.Load() {
		if l.won.CompareAndSwap(old, begun) {
			return
		}
	}
}
