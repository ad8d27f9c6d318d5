package wheel

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The pacers below stand in the library's place, each with a fault that the
// library has shown or might show.

// deadPacer never fires.
type deadPacer struct{}

func (deadPacer) AfterFunc(time.Duration, func()) {}
func (deadPacer) Stop()                           {}

// earlyPacer fires at a random time before it should, at once included.
type earlyPacer struct{ wg sync.WaitGroup }

func (p *earlyPacer) AfterFunc(d time.Duration, f func()) {
	p.wg.Add(1)
	time.AfterFunc(rand.N(d), func() { defer p.wg.Done(); f() })
}
func (p *earlyPacer) Stop() { p.wg.Wait() }

// hastyPacer fires at once, as the library does for an hour after the wall
// clock went an hour back. It counts how often it was asked.
type hastyPacer struct{ asked atomic.Int64 }

func (p *hastyPacer) AfterFunc(_ time.Duration, f func()) { p.asked.Add(1); go f() }
func (p *hastyPacer) Stop()                               {}

// stalledPacer fires nothing for half an hour and then everything at once.
type stalledPacer struct {
	start time.Time
	wg    sync.WaitGroup
}

func (p *stalledPacer) AfterFunc(d time.Duration, f func()) {
	p.wg.Add(1)
	time.AfterFunc(max(d, 30*time.Minute-time.Since(p.start)), func() { defer p.wg.Done(); f() })
}
func (p *stalledPacer) Stop() { p.wg.Wait() }

// blockedPacer blocks in AfterFunc until it is released, as the library's
// deadlock does for good.
type blockedPacer struct{ release chan struct{} }

func (p blockedPacer) AfterFunc(time.Duration, func()) { <-p.release }
func (p blockedPacer) Stop()                           {}

// slowPacer fires late, but before the watchdog.
type slowPacer struct{ wg sync.WaitGroup }

func (p *slowPacer) AfterFunc(d time.Duration, f func()) {
	p.wg.Add(1)
	time.AfterFunc(d+libraryTime/2, func() { defer p.wg.Done(); f() })
}
func (p *slowPacer) Stop() { p.wg.Wait() }

// block is a time after which, beginning at a multiple of it, the slots of level 0
// are reached at once if no phase is in the way: so a timer of askedOnce that is
// armed then makes the driver ask the library once.
const (
	block     = levelSlots * defaultTick
	askedOnce = block - 4*defaultTick
)

// withoutPhases lets a wheel that has just been made begin at its own ticks.
func withoutPhases(w *Wheel) {
	synctest.Wait() // the driver sleeps
	for i := range w.shards {
		w.shards[i].phase, w.shards[i].slots = 0, slots{}
	}
}

// lateness arms timers over a while, some of which are extended, and reports
// how late the latest was. None may be early and none lost.
func lateness(t *testing.T, w *Wheel) (latest time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var fired int
	const n = 1000
	for i := range n {
		d := rand.N(20 * time.Minute)
		deadline := time.Now().Add(d)
		if i%3 == 0 {
			deadline = deadline.Add(time.Second)
		}
		timer := w.AfterFunc(d, func() {
			late := time.Since(deadline)
			mu.Lock()
			defer mu.Unlock()
			fired++
			latest = max(latest, late)
			if late < 0 {
				t.Errorf("a timer fired %v early", -late)
			}
		})
		if i%3 == 0 {
			timer.Extend(time.Until(deadline))
		}
		if i%50 == 0 {
			time.Sleep(rand.N(time.Minute))
		}
	}
	time.Sleep(time.Hour)
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	if fired != n || w.Len() != 0 {
		t.Errorf("%d timers fired and %d are pending; %d were armed", fired, w.Len(), n)
	}
	return latest
}

func TestPacer_WhateverItDoesLatenessStaysBounded(t *testing.T) {
	t.Parallel() // beside the test that waits for its process
	for _, tt := range []struct {
		name  string
		pacer func() pacer
		most  time.Duration // beyond a Tick
		alone bool          // the pacer is given up
	}{
		{"the library", newLibrary, 0, false},
		{"dead", func() pacer { return deadPacer{} }, libraryTime, true},
		{"early", func() pacer { return new(earlyPacer) }, 0, false},
		{"hasty", func() pacer { return new(hastyPacer) }, 0, false},
		{"stalled", func() pacer { return &stalledPacer{start: time.Now()} }, libraryTime, true},
		{"slow", func() pacer { return new(slowPacer) }, libraryTime / 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := newWheel(Config{}, tt.pacer)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				if got := lateness(t, w); got > defaultTick+tt.most {
					t.Errorf("the latest timer was %v late; at most %v allowed", got, defaultTick+tt.most)
				}
				st := w.Stats()
				if st.LibraryDisabled != tt.alone || tt.alone != (st.Rescued >= maxRescues) {
					t.Errorf("disabled: %v, after %d rescues", st.LibraryDisabled, st.Rescued)
				}
			})
		})
	}
}

func TestPacer_ThatBlocksForEverDelaysNeitherTimersNorClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := blockedPacer{make(chan struct{})}
		w, err := newWheel(Config{}, func() pacer { return p })
		if err != nil {
			t.Fatal(err)
		}
		if got := lateness(t, w); got > defaultTick+libraryTime {
			t.Errorf("the latest timer was %v late", got)
		}
		start := time.Now()
		w.Close()
		if took := time.Since(start); took > closeTimeout {
			t.Errorf("Close took %v", took)
		}
		close(p.release) // so that its goroutine may leave the bubble
	})
}

func TestPacer_ThatFiresAtOnceIsAskedOnceForATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(hastyPacer)
		w, err := newWheel(Config{}, func() pacer { return p })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.AfterFunc(time.Hour, func() {})
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		// The timer comes up once for each level on its way.
		if st := w.Stats(); st.Fired != 1 || p.asked.Load() > int64(st.Moved)+1 {
			t.Errorf("asked %d times for %d ticks", p.asked.Load(), st.Moved+1)
		}
	})
}

func TestRescue_IsForgivenOnceThePacerWorksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &flakyPacer{library: newLibrary()}
		w, err := newWheel(Config{}, func() pacer { return p })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		withoutPhases(w)
		for i := range 20 {
			p.dead.Store(i%2 == 0)
			w.AfterFunc(askedOnce, func() {})
			time.Sleep(4 * block)
		}
		if st := w.Stats(); st.LibraryDisabled || st.Rescued < 10 {
			t.Errorf("disabled: %v, after %d rescues that were not in a row", st.LibraryDisabled, st.Rescued)
		}
	})
}

// flakyPacer is the library, dead at times.
type flakyPacer struct {
	library pacer
	dead    atomic.Bool
}

func (p *flakyPacer) AfterFunc(d time.Duration, f func()) {
	if !p.dead.Load() {
		p.library.AfterFunc(d, f)
	}
}
func (p *flakyPacer) Stop() { p.library.Stop() }

// The watchdog wakes the driver before a slot comes up that the library has let
// lie, so that not even the first is late.
func TestLibrary_ThatIsDeadMakesNothingLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWheel(Config{}, func() pacer { return deadPacer{} })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		time.Sleep(time.Second)
		for range 2 * maxRescues {
			due := w.Elapsed() + 5*time.Second
			w.AfterFunc(5*time.Second, func() {
				if late := w.Elapsed() - due; late > defaultTick {
					t.Errorf("%v late", late)
				}
			})
			time.Sleep(6 * time.Second)
		}
		if from, to := w.LastStall(); from != 0 || to != 0 {
			t.Errorf("a wheel in time stalled from %v to %v", from, to)
		}
		if w.Stats().Fired != 2*maxRescues {
			t.Errorf("%d timers fired", w.Stats().Fired)
		}
	})
}

func TestFeeder_AsksForNothingThatThePacerHoldsAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &countingPacer{}
		w, err := newWheel(Config{}, func() pacer { return p })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		first := w.AfterFunc(time.Minute, func() {})
		for range 1000 {
			w.AfterFunc(2*time.Minute, func() {})
			synctest.Wait()
		}
		first.Stop()
		for range 1000 {
			w.AfterFunc(time.Hour, func() {}).Stop()
			synctest.Wait()
		}
		if n := p.asked.Load(); n > 2 {
			t.Errorf("the pacer holds %d entries for one tick", n)
		}
	})
}

type countingPacer struct{ asked atomic.Int64 }

func (p *countingPacer) AfterFunc(time.Duration, func()) { p.asked.Add(1) }
func (p *countingPacer) Stop()                           {}

// A process may be stopped while its driver is between two sleeps, and again
// before what came due the first time was looked at.
func TestStall_IsNoticedBesideASleepAndOneSoonAfterCountsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		d := &driver{w: w} // one of the test's own, which runs when the test says so
		want := func(from, to time.Duration) {
			t.Helper()
			if s := d.stall.Load(); s == nil || *s != (stall{from, to}) {
				t.Errorf("the stall is %v, not from %v to %v", s, from, to)
			}
		}
		first := d.noteGap()
		time.Sleep(stallAfter)
		d.noteWake(first)
		if d.stall.Load() != nil {
			t.Error("a gap as long as allowed counts as a stall")
		}
		from := d.seen
		time.Sleep(4 * time.Second)
		want(from, d.noteGap())
		time.Sleep(mergeWithin / 2)
		want(from, d.noteGap())
		time.Sleep(time.Minute)
		d.noteWake(w.Elapsed()) // it slept as long as it meant to
		from = d.seen
		time.Sleep(4 * time.Second)
		want(from, d.noteGap())
	})
}

// A process may also be stopped when something has just been armed on a wheel
// that slept, for long or for ever.
func TestStall_BetweenAnArmingAndTheDriverIsNoticed(t *testing.T) {
	for name, next := range map[string]int64{"nothing was pending": none, "an hour was left": int64(time.Hour / defaultTick)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The test runs the driver's part itself, whose wake-up comes when the
				// test says so.
				w := &Wheel{tick: defaultTick, start: time.Now(), shards: make([]shard, 1)}
				w.shards[0].wheel = w
				d := &driver{w: w, woken: make(chan struct{}, 1), timer: time.NewTimer(time.Hour), disabled: true}
				w.sleepTick.Store(next)
				sleep := func() (from time.Duration) {
					d.noteWake(w.Elapsed())
					go d.sleep(next)
					time.Sleep(time.Minute)
					synctest.Wait()
					return d.seen
				}
				var timer Timer
				timer.InitHandler(w, HandlerFunc(func() {}))
				arm := func() {
					now := w.Elapsed()
					if _, wake := w.shards[0].arm(&timer, now, pendingAt(now+time.Second)); !wake {
						t.Error("the arming does not wake the driver")
					}
				}
				sleep()
				arm()
				d.wake()
				synctest.Wait()
				if d.stall.Load() != nil {
					t.Error("a driver that was woken in time has stalled")
				}
				timer.Stop()
				from := sleep()
				arm() // and then the process stands still before it wakes the driver
				time.Sleep(4 * time.Second)
				d.wake()
				synctest.Wait()
				if s := d.stall.Load(); s == nil || *s != (stall{from, w.Elapsed()}) {
					t.Errorf("the stall is %v, not from %v to %v", s, from, w.Elapsed())
				}
				time.Sleep(2 * mergeWithin)
				timer.Stop()
				from = sleep()
				now := w.Elapsed()
				w.shards[0].arm(&timer, now, pendingAt(now+4*time.Second))
				d.wokenAt.Store(int64(now)) // and now the process stands still before the driver hears of it,
				up := time.Duration(w.shards[0].slots.next()) * defaultTick
				time.Sleep(up - now + stallAfter/2)
				d.wake() // and the slot has come up only a moment ago
				synctest.Wait()
				if s := d.stall.Load(); *s != (stall{from, w.Elapsed()}) {
					t.Errorf("the stall is %v, not from %v to %v", s, from, w.Elapsed())
				}
			})
		})
	}
}
