package faults

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

const (
	// firstDue is the earliest deadline of the sessions of a scenario.
	firstDue = 100 * time.Millisecond

	// hour is the idle timeout of sessions that must not time out.
	hour = time.Hour
)

// scenario is a number of sessions that become due one by one while a fault is
// injected.
type scenario struct {
	n     int           // sessions; their IDs are 0 to n-1
	over  time.Duration // the latest deadline; the deadlines are random
	after time.Duration // the earliest deadline; 0 means firstDue
	extra int           // further IDs, from n on, for inject and expired

	// newSessions returns the sessions; nil means the function newSessions.
	newSessions func(Case, timers.Config) (timers.Sessions, error)

	// intercept is called first when a session has been closed. If it reports
	// true, the session is not recorded and expired is not called. May be nil.
	intercept func(id int64) bool

	// expired is called on the implementation's goroutine when a session has been
	// closed and recorded. May be nil.
	expired func(s timers.Sessions, r *recorder, id int64)

	// first is called before the sessions are registered, and inject afterwards.
	// Each may be nil.
	first  func(s timers.Sessions)
	inject func(s timers.Sessions, r *recorder)
}

// newSessions returns the sessions of the implementation that c names.
func newSessions(c Case, cfg timers.Config) (timers.Sessions, error) {
	impl, err := implByName(c.Impl)
	if err != nil {
		return nil, err
	}
	t, err := timers.ByName(impl.timers)
	if err != nil {
		return nil, err
	}
	return t.New(cfg)
}

// run runs the scenario and waits until all sessions are closed or lost. It does
// not stop the implementation, since a broken one could block: the process ends
// soon.
func (sc scenario) run(_ context.Context, c Case) (Figures, string, error) {
	rec := newRecorder(sc.n + sc.extra)
	created := make(chan struct{})
	var s timers.Sessions
	cfg := timers.Config{N: sc.n + sc.extra, Idle: sc.over, Keep: true, Expired: func(id int64) {
		<-created
		if sc.intercept != nil && sc.intercept(id) {
			return
		}
		rec.fire(id)
		if sc.expired != nil {
			sc.expired(s, rec, id)
		}
	}}
	create := sc.newSessions
	if create == nil {
		create = newSessions
	}
	s, err := create(c, cfg)
	if err != nil {
		return nil, "", err
	}
	close(created)
	if sc.first != nil {
		sc.first(s)
	}
	random := rand.New(rand.NewPCG(1, 2))
	after := max(sc.after, firstDue)
	for id := range int64(sc.n) {
		d := after + time.Duration(random.Int64N(int64(sc.over-after)))
		rec.arm(id, d)
		s.Register(id, d)
	}
	if sc.inject != nil {
		sc.inject(s, rec)
	}
	rec.wait(c.lostAfter())
	return rec.figures(), "", nil
}

// baseline returns the scenario into which most faults are injected.
func (c Case) baseline() scenario {
	return scenario{n: c.scaled(1000, 200), over: time.Duration(c.scaled(3000, 1000)) * time.Millisecond}
}

func undisturbed(ctx context.Context, c Case) (Figures, string, error) {
	return c.baseline().run(ctx, c)
}
