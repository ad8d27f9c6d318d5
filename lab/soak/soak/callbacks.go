package soak

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// callbackPatience is for what must happen, however busy the machine is.
const callbackPatience = 30 * time.Second

func callbacksRound(ctx context.Context, r *Run) error {
	for _, part := range []func(context.Context, *Run) error{
		callbacksBesideBlocked, callbacksUpToTheBound, callbacksThatCallBackIn, callbacksThatCloseWhatCalledThem,
	} {
		if err := part(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// eventually waits until f is true, and reports whether it came true.
func eventually(ctx context.Context, limit time.Duration, f func() bool) bool {
	for end := time.Now().Add(limit); ; {
		if f() {
			return true
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// callbacksBesideBlocked has forty callbacks block for the whole time, and some
// panic, while thousands of others must be on time.
func callbacksBesideBlocked(ctx context.Context, r *Run) error {
	var panics atomic.Int64
	w, err := wheel.New(wheel.Config{OnPanic: func(any, []byte) { panics.Add(1) }})
	if err != nil {
		return err
	}
	defer w.Close()
	release := make(chan struct{})
	defer close(release)
	const blocked, n = 40, 3000
	var blocking atomic.Int64
	for range blocked {
		w.AfterFunc(r.given(r.between(0, 100*time.Millisecond)), func() {
			blocking.Add(1)
			<-release
		})
	}
	start := time.Now()
	var lates [n]atomic.Int64
	var fired, early atomic.Int64
	var latest atomic.Int64
	wantPanics := int64(0)
	for i := range n {
		d := r.between(20*time.Millisecond, r.span()/2)
		panicking := r.rand.IntN(20) == 0
		if panicking {
			wantPanics++
		}
		due := time.Since(start) + d
		w.AfterFunc(r.given(d), func() {
			late := int64(time.Since(start) - due)
			if late < 0 {
				early.Add(1)
			}
			for old := latest.Load(); late > old && !latest.CompareAndSwap(old, late); old = latest.Load() {
			}
			lates[i].Add(1)
			fired.Add(1)
			if panicking {
				panic(i)
			}
		})
	}
	r.count(n + blocked)
	eventually(ctx, callbackPatience, func() bool {
		return fired.Load() >= n && blocking.Load() >= blocked && panics.Load() >= wantPanics
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i := range lates {
		if times := lates[i].Load(); times > 1 {
			return broken(exactlyOnce, "a callback ran %d times", times)
		}
	}
	late, most := time.Duration(latest.Load()), allowed(time.Second, r.delay.delay())
	switch {
	case early.Load() > 0:
		return broken(neverEarly, "%d of %d timers were early", early.Load(), n)
	case fired.Load() != n || blocking.Load() != blocked:
		return broken(nothingLost, "%d of %d callbacks ran, and %d of %d that block", fired.Load(), n, blocking.Load(), blocked)
	case panics.Load() != wantPanics:
		return broken(contained, "OnPanic was told of %d panics, and there were %d", panics.Load(), wantPanics)
	case late > most:
		return broken(boundedLateness, "beside %d callbacks that block: %v late, where %v are allowed", blocked, late, most)
	}
	r.late(late)
	return nil
}

// callbacksUpToTheBound has more callbacks block than there are places. The rest
// must wait, and run when a place is free.
func callbacksUpToTheBound(ctx context.Context, r *Run) error {
	places := 1 + r.rand.IntN(16)
	more := 1 + r.rand.IntN(50)
	w, err := wheel.New(wheel.Config{MaxCallbacks: places})
	if err != nil {
		return err
	}
	defer w.Close()
	release := make(chan struct{})
	var once sync.Once
	free := func() { once.Do(func() { close(release) }) }
	defer free()
	var running, most, ran atomic.Int64
	for range places + more {
		w.AfterFunc(r.between(0, 30*time.Millisecond), func() {
			n := running.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			<-release
			running.Add(-1)
			ran.Add(1)
		})
	}
	r.count(places + more)
	reached := eventually(ctx, callbackPatience, func() bool {
		st := w.Stats()
		return running.Load() == int64(places) && st.Running == places && st.Waiting == more
	})
	time.Sleep(20 * time.Millisecond) // for one too many to begin
	st := w.Stats()
	free()
	all := eventually(ctx, callbackPatience, func() bool { return ran.Load() == int64(places+more) })
	none := eventually(ctx, callbackPatience, func() bool { st := w.Stats(); return st.Running == 0 && st.Waiting == 0 })
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case most.Load() > int64(places):
		return broken(bounded, "%d ran at once, with a bound of %d", most.Load(), places)
	case !reached:
		return broken(bounded, "with a bound of %d and %d callbacks that block: %+v", places, places+more, st)
	case !all:
		return broken(nothingLost, "%d of %d callbacks ran once there was a place", ran.Load(), places+more)
	case !none:
		return broken(nothingLeft, "goroutines for callbacks stay: %+v", w.Stats())
	}
	return nil
}

// callbacksThatCallBackIn use every method there is, but Shutdown, from within
// OnNewSessionRegister, OnSessionClosed and the callbacks of timers.
func callbacksThatCallBackIn(ctx context.Context, r *Run) error {
	const n = 400
	idle := r.between(100*time.Millisecond, 400*time.Millisecond)
	var panics atomic.Int64
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return err
	}
	defer w.Close()
	book := newLedger(2 * n)
	c := ledgerConfig{
		Wheel: w, IdleTimeout: r.given(idle), OnDuplicate: pool.Replace,
		OnPanic: func(any, []byte) { panics.Add(1) },
	}
	book.keep(&c)
	opened, closed := c.OnNewSessionRegister, c.OnSessionClosed
	var p *pool.Pool[int, *account]
	var next, again, wantPanics atomic.Int64
	next.Store(n)
	c.OnNewSessionRegister = func(s *ledgerSession) {
		opened(s)
		s.Touch()
		switch s.ID() % 16 {
		case 0:
			if s.Close("at once") {
				s.Conn().won.Add(1)
			}
		case 1:
			wantPanics.Add(1)
			panic("in OnNewSessionRegister")
		case 2:
			s.Hold()()
		}
	}
	c.OnSessionClosed = func(s *ledgerSession, reason pool.Reason) {
		closed(s, reason)
		if p.CloseSession(s.ID(), "never") && reason != pool.Replaced {
			s.Conn().disorder.Store(true) // it is out of the pool by now
		}
		s.SetIdleTimeout(time.Hour)
		_, _ = p.Stats(), w.Stats()
		for range p.All() {
			break
		}
		w.AfterFunc(time.Millisecond, func() { again.Add(1) }).Extend(2 * time.Millisecond)
		if i := next.Add(1) - 1; i < 2*n {
			_, _ = book.register(p, int(i), &book.accounts[i]) // refused when the pool is closed
		}
		if s.ID()%8 == 3 {
			wantPanics.Add(1)
			panic("in OnSessionClosed")
		}
	}
	if p, err = pool.New(c); err != nil {
		return err
	}
	for i := range n {
		if _, err := book.register(p, i, &book.accounts[i]); err != nil {
			return err
		}
	}
	r.count(2 * n)
	emptied := eventually(ctx, callbackPatience, func() bool { return p.Len() == 0 && p.Stats().Registered == 2*n })
	if err := shutDown(ctx, p); err != nil {
		return err
	}
	timedOut, latest, err := book.audit(idle, p.Stats())
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case !emptied || timedOut == 0:
		return broken(nothingLost, "%d sessions timed out, and some have not", timedOut)
	case latest > allowed(time.Second, r.delay.delay()):
		return broken(boundedLateness, "with callbacks that call back in, a session timed out %v late", latest)
	case panics.Load() != wantPanics.Load():
		return broken(contained, "OnPanic was told of %d panics, and there were %d", panics.Load(), wantPanics.Load())
	case !eventually(ctx, callbackPatience, func() bool { return again.Load() == int64(2*n) }):
		return broken(nothingLost, "%d of %d timers that callbacks armed have fired", again.Load(), 2*n)
	}
	r.late(latest)
	return nil
}

// shutDown shuts a pool down, which must not take long.
func shutDown(ctx context.Context, p *pool.Pool[int, *account]) error {
	limit, cancel := context.WithTimeout(ctx, callbackPatience)
	defer cancel()
	if err := p.Shutdown(limit); err != nil && ctx.Err() == nil {
		return broken(closeEnds, "%v", err)
	}
	return nil
}

// callbacksThatCloseWhatCalledThem close the wheel from a timer's callback, and
// have the pool shut down from a session's.
func callbacksThatCloseWhatCalledThem(ctx context.Context, r *Run) error {
	const n = 200
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	var ended atomic.Bool
	var after atomic.Int64
	w.AfterFunc(r.between(5*time.Millisecond, 30*time.Millisecond), func() {
		w.Close()
		ended.Store(true)
		close(closed)
	})
	for range n {
		w.AfterFunc(r.between(0, 60*time.Millisecond), func() {
			if ended.Load() {
				after.Add(1)
			}
		})
	}
	if err := awaitOr(ctx, closed, "Wheel.Close from a callback"); err != nil {
		return err
	}
	time.Sleep(80 * time.Millisecond) // for what is left to be due

	book := newLedger(n)
	idle := r.between(20*time.Millisecond, 60*time.Millisecond)
	c := ledgerConfig{IdleTimeout: r.given(idle)}
	book.keep(&c)
	var p *pool.Pool[int, *account]
	down := make(chan error, 1)
	var once sync.Once
	told := c.OnSessionClosed
	c.OnSessionClosed = func(s *ledgerSession, reason pool.Reason) {
		told(s, reason)
		once.Do(func() { go func() { down <- p.Shutdown(ctx) }() }) // waited for below
	}
	if p, err = pool.New(c); err != nil {
		return err
	}
	for i := range n {
		_, _ = book.register(p, i, &book.accounts[i]) // refused when the pool is closed
	}
	r.count(2 * n)
	select {
	case err := <-down:
		if err != nil && ctx.Err() == nil {
			return broken(closeEnds, "%v", err)
		}
	case <-time.After(callbackPatience):
		return broken(closeEnds, "Shutdown that a callback has begun does not end within %v", callbackPatience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// A callback that was on its way when Close was called may see the end of it.
	if late := after.Load(); late > n/10 {
		return broken(closeEnds, "%d callbacks began after Wheel.Close had returned", late)
	}
	_, _, err = book.audit(idle, p.Stats())
	return err
}

// awaitOr waits for done, which must not take long.
func awaitOr(ctx context.Context, done <-chan struct{}, what string) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(callbackPatience):
		return broken(closeEnds, "%s does not end within %v", what, callbackPatience)
	}
}
