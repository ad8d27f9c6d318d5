package faults

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

const (
	// soonest is when the first of the spread sessions may be due.
	soonest = 100 * time.Millisecond

	// hour is the idle timeout of sessions that are not to time out.
	hour = time.Hour
)

// scene is sessions that become due one by one while something happens.
type scene struct {
	n     int           // sessions, with the IDs 0 to n-1
	over  time.Duration // they are due at random until then
	after time.Duration // and not before then; 0 means soonest
	extra int           // IDs from n on, for inject and expired

	// newSessions makes the keeper; nil means newKeeper.
	newSessions func(Case, timers.Config) (timers.Sessions, error)

	// instead is called first when a session was closed. If it reports true,
	// nothing else is done, and nothing noted; nil reports false.
	instead func(id int64) bool

	// expired is called when a session was closed and noted, on the keeper's
	// goroutine; nil: nothing.
	expired func(s timers.Sessions, b *book, id int64)

	// first is called before the sessions are registered, and inject when they
	// are; nil: nothing.
	first  func(s timers.Sessions)
	inject func(s timers.Sessions, b *book)
}

// newKeeper makes the implementation that is named, as package timers has it.
func newKeeper(c Case, cfg timers.Config) (timers.Sessions, error) {
	impl, err := implByName(c.Impl)
	if err != nil {
		return nil, err
	}
	keeper, err := timers.ByName(impl.keeper)
	if err != nil {
		return nil, err
	}
	return keeper.New(cfg)
}

// play plays the scene and waits for all to be closed, or lost. It does not stop
// the keeper, which may be past stopping: the process ends.
func (sc scene) play(_ context.Context, c Case) (*book, error) {
	b := newBook(sc.n + sc.extra)
	made := make(chan struct{})
	var s timers.Sessions
	cfg := timers.Config{N: sc.n + sc.extra, Idle: sc.over, Keep: true, Expired: func(id int64) {
		<-made
		if sc.instead != nil && sc.instead(id) {
			return
		}
		b.fire(id)
		if sc.expired != nil {
			sc.expired(s, b, id)
		}
	}}
	newSessions := sc.newSessions
	if newSessions == nil {
		newSessions = newKeeper
	}
	s, err := newSessions(c, cfg)
	if err != nil {
		return nil, err
	}
	close(made)
	if sc.first != nil {
		sc.first(s)
	}
	r := rand.New(rand.NewPCG(1, 2))
	after := max(sc.after, soonest)
	for id := range int64(sc.n) {
		d := after + time.Duration(r.Int64N(int64(sc.over-after)))
		b.arm(id, d)
		s.Register(id, d)
	}
	if sc.inject != nil {
		sc.inject(s, b)
	}
	b.wait(c.lostAfter())
	return b, nil
}

// ordinary is the scene that most faults disturb.
func (c Case) ordinary() scene {
	return scene{n: c.scaled(1000, 200), over: time.Duration(c.scaled(3000, 1000)) * time.Millisecond}
}

func (sc scene) run(ctx context.Context, c Case) (Figures, string, error) {
	b, err := sc.play(ctx, c)
	if err != nil {
		return nil, "", err
	}
	return b.figures(), "", nil
}

func quiet(ctx context.Context, c Case) (Figures, string, error) { return c.ordinary().run(ctx, c) }
