package wheel

import (
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// stallAfter is how late the driver must run for the wheel to call it a stall.
	stallAfter = 100 * time.Millisecond

	// checkBefore is how long before a slot comes up the driver looks at the clock.
	// A process that thawed unnoticed has then run for checkBefore-stallAfter at
	// least before anything fires.
	checkBefore = 200 * time.Millisecond

	// libraryTime is what the library needs at least to wake the driver by then. For
	// what is nearer it is not asked.
	libraryTime = 250 * time.Millisecond

	// libraryEarly is how much earlier than asked for the library may fire: the driver
	// does not wake once more for that.
	libraryEarly = 2 * libraryTick

	// rescueBefore is how long before a slot comes up a timer of the runtime's wakes
	// the driver if the library has not: less than stallAfter later than the library
	// should have, so that its failure alone is no stall.
	rescueBefore = checkBefore - stallAfter*9/10

	// maxRescues is how many times in a row the library may fail until the driver
	// does without it.
	maxRescues = 3

	// heldUpInterval is how often a driver that waits for callbacks to end looks
	// at the clock. It notices a stall of twice that.
	heldUpInterval = 100 * time.Millisecond

	// heldUpAfter is how long it waits until it reports that.
	heldUpAfter = time.Second

	// mergeWithin is long enough for everything that came due in a stall to be
	// looked at before another one hides it.
	mergeWithin = time.Second

	// closeTimeout is how long Close waits for the library.
	closeTimeout = time.Second

	// takeAtMost bounds how many entries the driver looks at under a lock.
	takeAtMost = 256
)

// driver is the goroutine that finds what is due. It goes through the shards
// while something is due, and then sleeps until the next slot comes up. On the
// way to a slot that is further ahead than checkBefore it wakes twice:
//
//  1. checkBefore the slot comes up, to see that the process has not stood still:
//     when the library fires, or, for a slot that is near or without the library,
//     on a timer of the runtime's;
//  2. when it comes up.
//
// Once is too little: a process that does not run until the slot comes up cannot
// tell whether it could have run before. Of slots less than checkBefore apart, each
// is the check for the next. If the library does not fire, a timer of the runtime's
// wakes the driver rescueBefore the slot comes up. Something earlier that is armed
// wakes it at any time.
type driver struct {
	w *Wheel

	reporter reporter
	feeder   *feeder
	woken    chan struct{} // holds one: something earlier was armed
	paced    chan struct{} // holds one: the library fired
	quit     chan struct{} // closed by stop
	done     chan struct{} // closed when the goroutine has ended

	// The goroutine's own.
	timer    *time.Timer
	taken    taken
	seen     time.Duration // when the goroutine last noted that it runs
	askedFor time.Duration // when the library is to fire; Never: it was not asked, or was judged
	rescues  int           // in a row
	disabled bool          // the library is not asked any more

	lastFired       atomic.Int64  // the latest time that the library has fired for
	wokenAt         atomic.Int64  // when wake was first called since the driver has heard of it; 0: it was not
	wakes           atomic.Uint64 // how often the driver woke from a sleep, for tests
	rescued         atomic.Uint64
	libraryDisabled atomic.Bool // what disabled says, for others
	stall           atomic.Pointer[stall]
}

// stall is a time in which the driver should have run and did not. Stalls less
// than mergeWithin apart are one.
type stall struct{ from, to time.Duration }

// startDriver starts the driver's and the feeder's goroutines; stop ends both
// and waits for them.
func startDriver(w *Wheel, newPacer func() pacer, log *slog.Logger) *driver {
	d := &driver{
		w:        w,
		reporter: reporter{log: log},
		woken:    make(chan struct{}, 1),
		paced:    make(chan struct{}, 1),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
		timer:    time.NewTimer(time.Hour),
		askedFor: Never,
	}
	d.timer.Stop()
	d.feeder = startFeeder(newPacer(), w.Elapsed, d.fired)
	w.sleepTick.Store(none)
	go d.drive()
	return d
}

// wake makes the driver look at the shards again. It never blocks.
func (d *driver) wake() {
	d.wokenAt.CompareAndSwap(0, max(1, int64(d.w.Elapsed())))
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// fired is called by the library, on a goroutine of its own.
func (d *driver) fired(at time.Duration) {
	for old := d.lastFired.Load(); int64(at) > old; old = d.lastFired.Load() {
		if d.lastFired.CompareAndSwap(old, int64(at)) {
			break
		}
	}
	select {
	case d.paced <- struct{}{}:
	default:
	}
}

func (d *driver) drive() {
	defer close(d.done)
	defer d.timer.Stop()
	for {
		// From here on everyone who arms wakes the driver, which may have passed
		// that shard already.
		d.w.sleepTick.Store(none)
		next := d.takeDue()
		d.w.sleepTick.Store(next)
		if !d.sleep(next) {
			return
		}
	}
}

// takeDue submits the callbacks of everything that is due now, and reports when
// the next slot comes up. It takes one batch of each shard in turn, so that a
// coarse slot that comes up in one shard does not delay what is due in another.
func (d *driver) takeDue() (next int64) {
	for more := true; more; {
		next, more = none, false
		for i := range d.w.shards {
			up, rest := d.w.shards[i].take(&d.taken)
			d.taken.submit(d.w.callbacks)
			next, more = min(next, up), more || rest
			d.noteGap()
			if !d.roomForMore() {
				return next // the wheel closes
			}
		}
	}
	return next
}

// roomForMore waits while enough callbacks wait already, and reports false when
// the wheel closes. That wait is no stall, however long; one that lies in it is.
func (d *driver) roomForMore() bool {
	for began := d.seen; !d.w.callbacks.hasRoom(); {
		by := d.seen + heldUpInterval
		d.timer.Reset(heldUpInterval)
		select {
		case <-d.w.callbacks.room:
		case <-d.timer.C:
			if now := d.w.Elapsed(); now-began >= heldUpAfter {
				running, waiting := d.w.callbacks.counts()
				d.reporter.tell(now, heldUp, slog.Int("running", running), slog.Int("waiting", waiting))
			}
		case <-d.quit:
			return false
		}
		d.noteWake(by)
	}
	return true
}

// sleep returns when the slot of tick next may have come up, or when something
// earlier was armed. It reports false when the wheel closes.
func (d *driver) sleep(next int64) bool {
	at := Never
	if next != none {
		at = time.Duration(next) * d.w.tick
	}
	select {
	case <-d.quit:
		return false
	case <-d.woken: // while it worked, so that this tells of no stall
		d.wokenAt.Store(0)
		return true
	default:
	}
	for {
		now := d.noteGap()
		if now >= at {
			d.judgeLibrary(now, at)
			return true
		}
		until, by := d.nextStop(now, at)
		if until == Never {
			d.timer.Stop()
		} else {
			d.timer.Reset(until - now)
		}
		select {
		case <-d.quit:
			return false
		case <-d.woken:
			d.wakes.Add(1)
			if at := d.wokenAt.Swap(0); at != 0 {
				by = min(by, time.Duration(at))
			}
			d.noteWake(min(by, d.overdue()))
			return true
		case <-d.paced:
		case <-d.timer.C:
		}
		d.wakes.Add(1)
		d.noteWake(by)
	}
}

// nextStop is the next time at which a timer wakes a driver that sleeps until at, and
// the time by which it runs unless the process stands still.
func (d *driver) nextStop(now, at time.Duration) (until, by time.Duration) {
	left, check := at-now, at-checkBefore
	switch {
	case at == Never:
		return Never, Never
	case left <= checkBefore+libraryEarly:
		return at, at
	case d.disabled || left < checkBefore+libraryTime && d.askedFor != check:
		return check, check
	default:
		d.askedFor = check
		d.feeder.ask(check)
		return at - rescueBefore, check
	}
}

// judgeLibrary looks whether the library has fired for the slot that came up at that
// time, if it was asked to, and gives it up when it has not again and again. It had
// no more time than the driver if the process stood still.
func (d *driver) judgeLibrary(now, at time.Duration) {
	if d.askedFor != at-checkBefore {
		return
	}
	fired := time.Duration(d.lastFired.Load()) >= d.askedFor
	d.askedFor = Never
	switch {
	case fired:
		d.rescues = 0
		return
	case now-at > stallAfter:
		return
	}
	n := d.rescued.Add(1)
	d.reporter.tell(now, rescued, slog.Uint64("rescued", n))
	d.rescues++
	if d.rescues == maxRescues {
		d.disabled = true
		d.libraryDisabled.Store(true)
		d.reporter.tell(now, libraryDisabled, slog.Uint64("rescued", n))
		d.feeder.stop()
	}
}

// overdue is when the first slot came up that has come up by now; Never if none
// has.
func (d *driver) overdue() time.Duration {
	first := Never
	now := d.w.Elapsed()
	for i := range d.w.shards {
		if up, ok := d.w.shards[i].overdue(now); ok {
			first = min(first, up)
		}
	}
	return first
}

// noteGap notes that the driver runs, and a stall if it has stood still while it
// worked. It is called often enough for a long gap to be no work of its own.
func (d *driver) noteGap() (now time.Duration) { return d.noteWake(d.seen) }

// noteWake notes that the driver runs, and a stall if it should have by a time
// long past.
func (d *driver) noteWake(by time.Duration) (now time.Duration) {
	now = d.w.Elapsed()
	if now-by > stallAfter {
		s := &stall{d.seen, now}
		if last := d.stall.Load(); last != nil && s.from < last.to+mergeWithin {
			s.from = last.from
		}
		d.stall.Store(s)
		d.reporter.tell(now, stood, slog.Duration("stalled", now-d.seen))
	}
	d.seen = now
	return now
}

// stop ends the driver and the feeder and waits for both.
func (d *driver) stop() {
	close(d.quit)
	<-d.done
	if !d.disabled {
		d.feeder.stop()
	}
	d.feeder.ended(closeTimeout)
}
