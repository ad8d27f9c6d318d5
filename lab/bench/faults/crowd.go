package faults

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// errSlow says that registering took until the sessions were due.
var errSlow = errors.New("faults: registering the sessions took longer than they had")

// million has all sessions due at one instant, far enough ahead for them to be
// registered; what is slow gets more time.
func million(_ context.Context, c Case) (f Figures, _ string, err error) {
	n := c.scaled(1_000_000, 20_000)
	ahead := time.Second + time.Duration(n)*10*time.Microsecond
	for range 4 {
		if f, err = dueTogether(c, n, ahead); !errors.Is(err, errSlow) {
			break
		}
		ahead *= 2
	}
	return f, "", err
}

func dueTogether(c Case, n int, ahead time.Duration) (Figures, error) {
	b := newBook(n)
	s, err := newKeeper(c, timers.Config{Idle: ahead, Expired: b.fire})
	if err != nil {
		return nil, err
	}
	for id := range int64(n) {
		d := ahead - time.Since(b.start)
		if d < ahead/10 {
			return nil, errSlow
		}
		b.arm(id, d)
		s.Register(id, d)
	}
	resting := rest()
	if ahead-time.Since(b.start) < ahead/20 {
		return nil, errSlow
	}
	time.Sleep(ahead*29/30 - time.Since(b.start))
	p, w := watchPeaks(), watchCallers(s)
	b.wait(6 * c.lostAfter())
	f := b.figures()
	p.stop(f)
	f[memory] = mib(p.memory) - mib(resting)
	f[waited] = millis(w.longest())
	return f, nil
}

// stopped measures what is left of sessions that have ended.
func stopped(_ context.Context, c Case) (Figures, string, error) {
	n := c.scaled(1_000_000, 50_000)
	s, err := newKeeper(c, timers.Config{N: 1, Idle: hour, Keep: true})
	if err != nil {
		return nil, "", err
	}
	s.Register(0, hour)
	for id := range int64(1000) { // so that what is made once is there already
		s.RegisterClose(id + 1)
	}
	before := inUse()
	for id := range int64(n) {
		s.RegisterClose(id + 1)
	}
	closed := inUse()
	for range n {
		s.Touch(0)
	}
	touched := inUse()
	runtime.KeepAlive(s)
	return Figures{held: mib(closed) - mib(before), heldTouched: mib(touched) - mib(closed)}, "", nil
}

// centuries registers sessions that are due in 250 years.
func centuries(_ context.Context, c Case) (Figures, string, error) {
	const n, d = 100, 250 * 365 * 24 * time.Hour
	b := newBook(n)
	s, err := newKeeper(c, timers.Config{Idle: d, Expired: b.fire})
	if err != nil {
		return nil, "", err
	}
	for id := range int64(n) {
		b.arm(id, d)
		s.Register(id, d)
	}
	time.Sleep(time.Duration(c.scaled(2000, 500)) * time.Millisecond)
	f := b.figures()
	delete(f, lost) // none is due
	return f, "", nil
}
