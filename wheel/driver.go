package wheel

import (
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// nearby is how close a slot must be for the driver to sleep until it on its
	// own: the library could not wake it with lead to spare.
	nearby = lead + shortest

	// overdue is how long after a slot came up the watchdog wakes the driver,
	// if the library has not.
	overdue = 250 * time.Millisecond

	// patience is how many rescues in a row make the driver do without the
	// library.
	patience = 3

	// stallAfter is how much longer than it meant to the driver must have slept
	// for the wheel to call it a stall.
	stallAfter = 100 * time.Millisecond

	// look is how often a driver that waits for callbacks to end notes that it
	// runs.
	look = time.Second

	// mergeWithin is long enough for everything that came due in a stall to be
	// looked at before another one hides it.
	mergeWithin = time.Second

	// farewell is how long Close waits for the library.
	farewell = time.Second

	// takeAtMost bounds how many timers the driver looks at under a lock.
	takeAtMost = 256
)

// driver is the goroutine that finds what is due. It sleeps until the next slot
// comes up, paced by the library with a watchdog behind it.
type driver struct {
	w *Wheel

	reporter reporter
	feeder   *feeder
	woken    chan struct{} // holds one: something earlier was armed
	wokeAt   atomic.Int64  // the wheel's time at which it began to hold one; 0 while it holds none
	paced    chan struct{} // holds one: the library fired
	quit     chan struct{} // closed by stop
	done     chan struct{} // closed when the goroutine has ended

	// The goroutine's own.
	timer   *time.Timer // the remainder, or the watchdog
	due     []firing
	seen    time.Duration // when the goroutine last noted that it runs
	early   int64         // the tick that the library has fired for, early
	rescues int           // in a row
	alone   bool          // the library was given up

	lastFired atomic.Int64 // the latest time that the library has fired for
	rescued   atomic.Uint64
	gaveUp    atomic.Bool // what alone says, for others
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
		due:      make([]firing, 0, takeAtMost),
	}
	d.timer.Stop()
	d.feeder = startFeeder(newPacer(), w.Elapsed, d.fired)
	w.sleepTick.Store(none)
	go d.drive()
	return d
}

// wake has the driver look again. It never blocks.
func (d *driver) wake() {
	if d.wokeAt.Load() == 0 {
		d.wokeAt.CompareAndSwap(0, int64(d.w.Elapsed()))
	}
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
		// From here on whoever arms wakes the driver, which may have passed that
		// shard already.
		d.w.sleepTick.Store(none)
		next := d.takeDue()
		d.w.sleepTick.Store(next)
		if !d.sleep(next) {
			return
		}
	}
}

// takeDue hands on all callbacks that are due now, and reports when the next
// slot comes up.
func (d *driver) takeDue() int64 {
	now := d.runs(d.seen)
	next := none
	for i := range d.w.shards {
		for more := true; more; {
			var due []firing
			var up int64
			due, up, more = d.w.shards[i].take(now, d.due)
			d.w.callbacks.submit(due...)
			clear(due)
			next = min(next, up)
			d.runs(d.seen)
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
	for d.w.callbacks.full() {
		by := d.seen + look
		d.timer.Reset(look)
		select {
		case <-d.w.callbacks.room:
		case <-d.timer.C:
			running, waiting := d.w.callbacks.counts()
			d.reporter.tell(d.w.Elapsed(), heldUp, slog.Int("running", running), slog.Int("waiting", waiting))
		case <-d.quit:
			return false
		}
		d.runs(by)
	}
	return true
}

// sleep returns when a slot may have come up, at the latest at next, or when
// something earlier was armed. It reports false when the wheel closes.
func (d *driver) sleep(next int64) bool {
	if next == none {
		select {
		case <-d.woken:
			d.runs(d.wokenBy(never))
		case <-d.paced:
			d.runs(never)
		case <-d.quit:
			return false
		}
		return true
	}
	at := time.Duration(next) * d.w.tick
	left := at - d.runs(d.seen)
	if left <= 0 {
		select {
		case <-d.quit:
			return false
		default:
			return true
		}
	}
	// The library fires once for a tick. When it was early, the runtime's timer
	// does the rest: asked again it might fire early again, and again.
	guarding := !d.alone && left > nearby && d.early != next
	if guarding {
		d.feeder.ask(at - lead)
		left = min(left, longest) + overdue
	}
	d.timer.Reset(left)
	by := at
	select {
	case <-d.woken:
		by = d.wokenBy(at)
	case <-d.paced:
		if time.Duration(d.lastFired.Load()) >= at-lead {
			d.early, d.rescues = next, 0
		}
	case <-d.timer.C:
		if guarding && d.w.Elapsed() >= at {
			d.rescue()
		}
	case <-d.quit:
		return false
	}
	d.runs(by)
	return true
}

// runs notes that the driver runs, and a stall if it should have by a time long
// past. It is called often enough for a long gap to be no work of its own.
func (d *driver) runs(by time.Duration) (now time.Duration) {
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

// wokenBy is when a driver that was woken should have run: by then it was to run
// anyway, and maybe it was woken before.
func (d *driver) wokenBy(then time.Duration) time.Duration {
	if at := time.Duration(d.wokeAt.Swap(0)); at != 0 {
		return min(then, at)
	}
	return then
}

// rescue counts what the watchdog saved, and gives the library up when that
// happens again and again.
func (d *driver) rescue() {
	n, now := d.rescued.Add(1), d.w.Elapsed()
	d.reporter.tell(now, rescued, slog.Uint64("rescued", n))
	d.rescues++
	if d.rescues == patience {
		d.alone = true
		d.gaveUp.Store(true)
		d.reporter.tell(now, gaveUp, slog.Uint64("rescued", n))
		d.feeder.stop()
	}
}

// stop ends the driver and the feeder and waits for both.
func (d *driver) stop() {
	close(d.quit)
	<-d.done
	if !d.alone {
		d.feeder.stop()
	}
	d.feeder.ended(farewell)
}
