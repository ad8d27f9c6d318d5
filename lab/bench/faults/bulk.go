package faults

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

// errSlow is returned when the deadline came before all sessions were
// registered.
var errSlow = errors.New("faults: the sessions were due before all were registered")

// million makes all sessions due at one instant, far enough ahead to register
// them before. A slow implementation gets more time.
func million(_ context.Context, c Case) (f Figures, _ string, err error) {
	n := c.scaled(1_000_000, 20_000)
	ahead := time.Second + time.Duration(n)*10*time.Microsecond
	for range 4 {
		if f, err = expireTogether(c, n, ahead); !errors.Is(err, errSlow) {
			break
		}
		ahead *= 2
	}
	return f, "", err
}

func expireTogether(c Case, n int, ahead time.Duration) (Figures, error) {
	rec := newRecorder(n)
	s, err := newSessions(c, timers.Config{Idle: ahead, Expired: rec.fire})
	if err != nil {
		return nil, err
	}
	for id := range int64(n) {
		d := ahead - time.Since(rec.start)
		if d < ahead/10 {
			return nil, errSlow
		}
		rec.arm(id, d)
		s.Register(id, d)
	}
	resting := procstat.Release()
	if ahead-time.Since(rec.start) < ahead/20 {
		return nil, errSlow
	}
	time.Sleep(ahead*29/30 - time.Since(rec.start))
	p, w := procstat.WatchPeaks(), watchCallers(s)
	rec.wait(6 * c.lostAfter())
	f := rec.figures()
	peakGoroutines, peakMemory := p.Stop()
	f[goroutines] = float64(peakGoroutines)
	f[memory] = mib(peakMemory) - mib(resting)
	f[waited] = millis(w.longest())
	return f, nil
}

// stopped measures the memory that closed and touched sessions leave in use.
func stopped(_ context.Context, c Case) (Figures, string, error) {
	n := c.scaled(1_000_000, 50_000)
	s, err := newSessions(c, timers.Config{N: 1, Idle: hour, Keep: true})
	if err != nil {
		return nil, "", err
	}
	s.Register(0, hour)
	for id := range int64(1000) { // what is allocated once does not count
		s.RegisterClose(id + 1)
	}
	before := procstat.InUse()
	for id := range int64(n) {
		s.RegisterClose(id + 1)
	}
	closed := procstat.InUse()
	for range n {
		s.Touch(0)
	}
	touched := procstat.InUse()
	runtime.KeepAlive(s)
	return Figures{held: mib(closed) - mib(before), heldTouched: mib(touched) - mib(closed)}, "", nil
}

// centuries registers sessions that are due in 250 years.
func centuries(_ context.Context, c Case) (Figures, string, error) {
	const n, d = 100, 250 * 365 * 24 * time.Hour
	rec := newRecorder(n)
	s, err := newSessions(c, timers.Config{Idle: d, Expired: rec.fire})
	if err != nil {
		return nil, "", err
	}
	for id := range int64(n) {
		rec.arm(id, d)
		s.Register(id, d)
	}
	time.Sleep(time.Duration(c.scaled(2000, 500)) * time.Millisecond)
	f := rec.figures()
	delete(f, lost) // none is due
	return f, "", nil
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
