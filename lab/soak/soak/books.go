package soak

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

const bookWorkers = 4

// A great many sessions are registered, touched, taken over, kicked and closed
// by several goroutines while others expire, and the pool is shut down in the
// midst of that, or when the last should have expired. Then the books must
// balance.
func booksRound(ctx context.Context, r *Run) error {
	n := r.size(1_000_000, 10_000)
	idle := r.between(time.Second, 2*time.Second)
	when := r.rand.IntN(4) // to shut down
	if r.drill {
		when = 3 // nothing need have timed out before
	}
	b := books{n: n, book: newLedger(n + n/4)}
	b.next = make([]int, bookWorkers)
	c := ledgerConfig{IdleTimeout: r.given(idle), OnDuplicate: pool.Replace}
	b.book.keep(&c)
	p, err := pool.New(c)
	if err != nil {
		return err
	}
	b.pool = p
	busy, idleNow := context.WithCancel(ctx)
	defer idleNow()
	var workers sync.WaitGroup
	b.filling.Add(bookWorkers)
	for i := range bookWorkers {
		rng := r.fork()
		workers.Go(func() { b.work(busy, r, rng, i) })
	}
	expired := true
	switch when {
	case 0: // while sessions are registered for the first time
		_ = pause(ctx, r.between(0, idle)) // the cause of ctx is returned below
	case 1: // while there is all kinds of activity
		b.filling.Wait()
		_ = pause(ctx, r.span()/2) // it takes all processors
	default:
		b.filling.Wait()
		_ = pause(ctx, r.span()/2)
		idleNow()
		workers.Wait()
		expired = eventually(ctx, idle+callbackPatience+perMillion(n, 10*time.Second), func() bool { return p.Len() == 0 })
	}
	err = shutDown(ctx, p)
	idleNow()
	workers.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case !expired:
		return broken(nothingLost, "%d sessions are open long after their idle timeout", p.Len())
	}
	_, latest, err := b.book.audit(idle, p.Stats())
	if err != nil {
		return err
	}
	// All may expire at once. They may take as long as the workers took to register them.
	most := allowed(time.Second, r.delay.delay())
	for _, took := range b.filled {
		most += took
	}
	if latest > most {
		return broken(boundedLateness, "of %d sessions one timed out %v late, where %v are allowed", n, latest, most)
	}
	r.late(latest)
	return nil
}

// perMillion is n's part of what a million may take.
func perMillion(n int, d time.Duration) time.Duration {
	return time.Duration(float64(d) * float64(n) / 1_000_000)
}

// books is a pool of n IDs and the accounts of its sessions.
type books struct {
	n    int
	pool *pool.Pool[int, *account]
	book *ledger
	next []int // of each worker: how many of its accounts have a session or had

	filling sync.WaitGroup             // the workers that register for the first time
	filled  [bookWorkers]time.Duration // how long each took; read when they have ended
}

// work registers the worker's part of the sessions and then does what it draws,
// until ctx ends.
func (b *books) work(ctx context.Context, r *Run, rng *rand.Rand, worker int) {
	first := b.n / bookWorkers * worker
	began, done := time.Now(), 0
	count := func() {
		if done++; done == 1000 {
			r.count(done)
			done = 0
		}
	}
	defer func() { r.count(done) }()
	for id := first; id < first+b.n/bookWorkers && ctx.Err() == nil; id++ {
		b.register(id, worker)
		count()
		if rng.IntN(4) == 0 {
			b.touch(first + rng.IntN(id-first+1))
		}
	}
	b.filled[worker] = time.Since(began)
	b.filling.Done()
	for ; ctx.Err() == nil; count() {
		id := 2 * rng.IntN(b.n/2) // the others fall silent
		switch draw := rng.IntN(100); {
		case draw < 90:
			b.touch(id)
		case draw < 94:
			b.register(id, worker)
		case draw < 97:
			if s, ok := b.pool.Get(id); ok {
				won(s, s.Close("closed"))
			}
		case draw < 99:
			// Whose session it closes cannot be told: there may be another by then.
			b.pool.CloseSession(id, "kicked")
		default:
			if s, ok := b.pool.Get(id); ok {
				release := s.Hold()
				b.touch(id)
				release()
			}
		}
	}
}

func (b *books) touch(id int) {
	if s, ok := b.pool.Get(id); ok {
		b.book.touch(s)
	}
}

// register gives an account of the worker's a session, if it has one left.
func (b *books) register(id, worker int) {
	part := len(b.book.accounts) / bookWorkers
	if b.next[worker] < part {
		a := &b.book.accounts[part*worker+b.next[worker]]
		b.next[worker]++
		_, _ = b.book.register(b.pool, id, a) // refused when the pool is closed
	}
}

func won(s *ledgerSession, did bool) {
	if did {
		s.Conn().won.Add(1)
	}
}
