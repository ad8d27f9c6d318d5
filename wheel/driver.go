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

	// libraryTime is what the library has to wake the driver in before that.
	libraryTime = 250 * time.Millisecond

	// lead is how long before a slot comes up the library is asked to wake the
	// driver. What is nearer is slept on a timer of the runtime's.
	lead = checkBefore + libraryTime

	// maxRescues is how many times in a row the library may fail until the driver
	// does without it.
	maxRescues = 3

	// heldUpInterval is how often a driver that waits for callbacks to end looks
	// at the clock.
	heldUpInterval = time.Second

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
// way to a slot that is far ahead it wakes three times:
//
//  1. when the library fires, lead before the slot comes up;
//  2. checkBefore it does, on a timer of the runtime's, to see that the library
//     has fired and that the process has not stood still;
//  3. when it comes up.
//
// Something earlier that is armed wakes it at any time.
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
	rescues  int           // in a row
	disabled bool          // the library is not asked any more

	lastFired atomic.Int64 // the latest time that the library has fired for
	rescued   atomic.Uint64
	gaveUp    atomic.Bool // what disabled says, for others
	stall     atomic.Pointer[stall]
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
	}
	d.timer.Stop()
	d.feeder = startFeeder(newPacer(), w.Elapsed, d.fired)
	w.sleepTick.Store(none)
	go d.drive()
	return d
}

// wake makes the driver look at the shards again. It never blocks.
func (d *driver) wake() {
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
	for !d.w.callbacks.hasRoom() {
		by := d.seen + heldUpInterval
		d.timer.Reset(heldUpInterval)
		select {
		case <-d.w.callbacks.room:
		case <-d.timer.C:
			running, waiting := d.w.callbacks.counts()
			d.reporter.tell(d.w.Elapsed(), heldUp, slog.Int("running", running), slog.Int("waiting", waiting))
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
	case <-d.woken: // while it worked, so that what is overdue tells of no stall
		return true
	default:
	}
	for {
		now := d.noteGap()
		if now >= at {
			return true
		}
		until, asked := d.nextStop(now, at)
		if until == Never {
			d.timer.Stop()
		} else {
			d.timer.Reset(until - now)
		}
		select {
		case <-d.quit:
			return false
		case <-d.woken:
			d.noteWake(min(until, d.overdue()))
			return true
		case <-d.paced:
			d.judgeLibrary(at-lead, false)
		case <-d.timer.C:
			d.judgeLibrary(at-lead, asked)
		}
		d.noteWake(until)
	}
}

// nextStop is the next time at which a driver that sleeps until at wakes on its
// own, and whether the library is to wake it before.
func (d *driver) nextStop(now, at time.Duration) (until time.Duration, asked bool) {
	switch left := at - now; {
	case at == Never:
		return Never, false
	case left > lead && !d.disabled:
		d.feeder.ask(at - lead)
		return at - checkBefore, true
	case left > checkBefore:
		return at - checkBefore, false
	default:
		return at, false
	}
}

// judgeLibrary looks whether the library has fired for the time that it was asked
// for, and if it is late, gives it up when that happens again and again.
func (d *driver) judgeLibrary(askedFor time.Duration, late bool) {
	if time.Duration(d.lastFired.Load()) >= askedFor {
		d.rescues = 0
		return
	}
	if !late {
		return
	}
	n, now := d.rescued.Add(1), d.w.Elapsed()
	d.reporter.tell(now, rescued, slog.Uint64("rescued", n))
	d.rescues++
	if d.rescues == maxRescues {
		d.disabled = true
		d.gaveUp.Store(true)
		d.reporter.tell(now, gaveUp, slog.Uint64("rescued", n))
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
