package wheel

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/RussellLuo/timingwheel"
)

// pacer is the seam to the library: all that the wheel asks of it. Nothing that
// it does is trusted. It may fire early, late, or never; it may block.
type pacer interface {
	AfterFunc(d time.Duration, f func())
	Stop()
}

const (
	// libraryTick is the library's resolution, the finest that it has. Its
	// goroutines sleep until something is due, so a fine tick costs nothing.
	libraryTick = time.Millisecond

	// librarySlots is the size of each of its levels: a prime, so that its
	// levels do not turn over at round times, when users' timers are due too.
	librarySlots = 61

	// shortest is the least that the library is asked for: it deadlocks when
	// timers of few ticks are added while its clock advances.
	shortest = 2 * libraryTick

	// offset is waited before the library is asked, so that in a testing/synctest
	// bubble that does not happen in the instant in which its clock advances.
	offset = 437 * time.Microsecond

	// moving is for how long after it has come up a bucket's timers may still be
	// moving, and quiet how far ahead of it the library is not stopped.
	moving = time.Second
	quiet  = 20 * time.Millisecond

	// longest is the most that the library is asked for: it counts in wall time,
	// which overflows in 2262.
	longest = 365 * 24 * time.Hour
)

// library is the library, for one caller.
type library struct {
	wheel *timingwheel.TimingWheel
	given []time.Time // when what it holds is due
}

func newLibrary() pacer {
	tw := timingwheel.NewTimingWheel(libraryTick, librarySlots)
	tw.Start()
	return &library{wheel: tw}
}

func (l *library) AfterFunc(d time.Duration, f func()) {
	now := time.Now()
	l.given = append(slices.DeleteFunc(l.given, func(t time.Time) bool { return now.Sub(t) > moving }), now.Add(d))
	l.wheel.AfterFunc(d, f)
}

// Stop waits for a moment in which the library moves no timer to a lower level: if
// it is told to stop while it does, its goroutines wait for each other for ever.
func (l *library) Stop() {
	l.settle()
	l.wheel.Stop()
}

func (l *library) settle() {
	late := time.NewTimer(closeTimeout)
	defer late.Stop()
	for from := time.Now().Add(-moving); l.moves(from, time.Now().Add(quiet)); {
		from = time.Now()
		fired := make(chan struct{})
		l.wheel.AfterFunc(shortest, func() { close(fired) })
		select {
		case <-fired: // after all that came up earlier
		case <-late.C:
			return
		}
	}
}

// moves reports whether the library may move a timer between these times. It does so
// when a bucket of a higher level comes up, at a multiple of what the level below
// spans, in wall time.
func (l *library) moves(from, to time.Time) bool {
	for _, due := range l.given {
		for span := librarySlots * libraryTick; span < longest; span *= librarySlots {
			for _, t := range []time.Time{due, due.Add(quiet)} { // due may have been taken too early
				up := time.UnixMilli(t.UnixMilli() / span.Milliseconds() * span.Milliseconds())
				if !up.Before(from) && up.Before(to) {
					return true
				}
			}
		}
	}
	return false
}

// feeder is the one caller of a pacer, on a goroutine of its own: the driver
// goes on if the pacer blocks.
type feeder struct {
	pacer   pacer
	elapsed func() time.Duration
	fired   func(at time.Duration) // called on a goroutine of the pacer's

	wanted atomic.Int64  // the time of the last ask
	asked  chan struct{} // holds one: wanted has changed
	quit   chan struct{} // closed by stop
	done   chan struct{} // closed when the goroutine has ended
}

// entry is a time that the pacer was given.
type entry struct {
	at    time.Duration
	fired atomic.Bool
}

// startFeeder starts the goroutine; stop ends it, and ended waits for that.
func startFeeder(p pacer, elapsed func() time.Duration, fired func(at time.Duration)) *feeder {
	f := &feeder{
		pacer: p, elapsed: elapsed, fired: fired,
		asked: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go f.feed()
	return f
}

// ask has fired called at about the given time, unless another ask comes first.
// It does not block. Only the driver calls it.
func (f *feeder) ask(at time.Duration) {
	f.wanted.Store(int64(at))
	select {
	case f.asked <- struct{}{}:
	default:
	}
}

func (f *feeder) feed() {
	defer close(f.done)
	defer f.pacer.Stop()
	// What the pacer holds, the earliest last. It is asked only for something
	// earlier than all it holds, and never twice for the same time. Nothing is
	// ever taken back from it.
	var held []*entry
	var last time.Duration
	for {
		select {
		case <-f.quit:
			return
		case <-f.asked:
		}
		select {
		case <-f.quit:
			return
		case <-time.After(offset):
		}
		now, at := f.elapsed(), time.Duration(f.wanted.Load())
		for len(held) > 0 && (held[len(held)-1].fired.Load() || held[len(held)-1].at <= now) {
			held = held[:len(held)-1]
		}
		if at == last || len(held) > 0 && held[len(held)-1].at <= at {
			continue
		}
		last = at
		e := &entry{at: at}
		held = append(held, e)
		f.pacer.AfterFunc(min(max(at-now, shortest), longest), func() {
			e.fired.Store(true)
			f.fired(e.at)
		})
	}
}

// stop has the feeder stop the pacer and end. It is called once and does not
// wait.
func (f *feeder) stop() {
	close(f.quit)
}

// ended waits until the feeder has ended, or the limit has passed, as happens
// when the pacer is blocked.
func (f *feeder) ended(limit time.Duration) bool {
	select {
	case <-f.done:
		return true
	default:
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-f.done:
		return true
	case <-t.C:
		return false
	}
}
