package wheel

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/RussellLuo/timingwheel"
)

// faultyPacer does to each ask what its fault says: a delay until it fires,
// negative for never; and how often it fires, each time on a goroutine of its
// own. All its goroutines end soon after release is closed.
type faultyPacer struct {
	fault   func(d time.Duration) (fires time.Duration, times int)
	asks    int // counted by the feeder, the one caller
	blocks  int // the ask that never returns; 0: none
	hangs   bool
	release chan struct{}
}

func (p *faultyPacer) AfterFunc(d time.Duration, f func()) {
	if p.asks++; p.asks == p.blocks {
		<-p.release
		return
	}
	fires, times := d, 1
	if p.fault != nil {
		fires, times = p.fault(d)
	}
	if fires < 0 {
		return
	}
	for range times {
		go func() {
			// A channel timer that is due when it is looked at is sent to by whoever
			// looks. Where two do so in one bubble at once, Go 1.26's race detector
			// breaks down: they share its context.
			if fires > 0 {
				select {
				case <-time.After(fires):
				case <-p.release: // fires for a wheel that is closed
				}
			}
			f()
		}()
	}
}

func (p *faultyPacer) Stop() {
	if p.hangs {
		<-p.release
	}
}

// jumps is a clock that is set now and then, by up to a minute either way: what
// the pacer holds comes due as much earlier or later.
func jumps() func(d time.Duration) (time.Duration, int) {
	var ahead time.Duration
	return func(d time.Duration) (time.Duration, int) {
		if rand.N(4) == 0 {
			ahead = rand.N(2*time.Minute) - time.Minute
		}
		return max(0, d-ahead), 1
	}
}

// fickle is a fault of another kind at each ask.
func fickle(d time.Duration) (time.Duration, int) {
	switch rand.N(5) {
	case 0:
		return 0, 1
	case 1:
		return rand.N(d), 3
	case 2:
		return d + rand.N(2*libraryTime), 1
	case 3:
		return -1, 0
	default:
		return d, 1
	}
}

func TestPacer_WhateverBecomesOfItLatenessStaysBoundedAndCloseReturns(t *testing.T) {
	t.Parallel()                        // beside the test that waits for its process
	const dead, alive, either = 1, 2, 3 // what the wheel takes it for in the end
	for _, tt := range []struct {
		name  string
		pacer faultyPacer
		most  time.Duration // beyond a Tick
		ends  int
	}{
		{"it jumps", faultyPacer{fault: jumps()}, libraryTime, either},
		{"it is fickle", faultyPacer{fault: fickle}, libraryTime, either},
		{"each firing five times", faultyPacer{fault: func(d time.Duration) (time.Duration, int) { return d, 5 }}, 0, alive},
		{"at once, five times", faultyPacer{fault: func(time.Duration) (time.Duration, int) { return 0, 5 }}, 0, alive},
		{"the first ask blocks", faultyPacer{blocks: 1}, libraryTime, dead},
		{"a later ask blocks", faultyPacer{blocks: 50}, libraryTime, dead},
		{"Stop hangs", faultyPacer{hangs: true}, 0, alive},
		{"dead, and Stop hangs", faultyPacer{fault: func(time.Duration) (time.Duration, int) { return -1, 0 }, hangs: true}, libraryTime, dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := tt.pacer
				p.release = make(chan struct{})
				w, err := newWheel(Config{}, func() pacer { return &p })
				if err != nil {
					t.Fatal(err)
				}
				if got := lateness(t, w); got > defaultTick+tt.most {
					t.Errorf("the latest timer was %v late; at most %v allowed", got, defaultTick+tt.most)
				}
				st := w.Stats()
				if st.LibraryDisabled && st.Rescued < maxRescues || tt.ends == dead && !st.LibraryDisabled ||
					tt.ends == alive && (st.LibraryDisabled || st.Rescued != 0) {
					t.Errorf("disabled: %v, after %d rescues", st.LibraryDisabled, st.Rescued)
				}
				start := time.Now()
				w.AfterFunc(time.Hour, func() { t.Error("a closed wheel fired") })
				w.Close()
				if took := time.Since(start); took > closeTimeout {
					t.Errorf("Close took %v", took)
				}
				close(p.release) // it fires all that it holds
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

// Each time that the library lets a slot lie, the watchdog counts one rescue,
// until the library is given up.
func TestRescue_IsCountedUntilTheLibraryIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := newWheel(Config{}, func() pacer { return deadPacer{} })
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		withoutPhases(w)
		for i := range 10 {
			w.AfterFunc(askedOnce, func() {})
			time.Sleep(2 * block)
			synctest.Wait()
			want := min(i+1, maxRescues)
			if st := w.Stats(); st.Rescued != uint64(want) || st.LibraryDisabled != (want == maxRescues) {
				t.Errorf("after %d timers: %d rescues, disabled: %v", i+1, st.Rescued, st.LibraryDisabled)
			}
		}
	})
}

// The library is stopped at the very moment at which it moves a timer to a lower level, again
// and again until it does not stop by itself. Without help the bubble is deadlocked then.
func TestLibrary_StoppedWhileItMovesATimerEnds(t *testing.T) {
	helped := 0
	for i := 0; i < 200 || helped == 0; i++ {
		if i == 200_000 {
			t.Fatal("it always stopped by itself")
		}
		synctest.Test(t, func(t *testing.T) {
			l := newLibrary()
			turn := (librarySlots * libraryTick).Milliseconds()
			next := time.UnixMilli((time.Now().UnixMilli()/turn + 2) * turn)
			l.AfterFunc(time.Until(next)+librarySlots*libraryTick/2, func() {})
			time.Sleep(time.Until(next))
			start := time.Now()
			l.Stop()
			if time.Since(start) > 0 {
				helped++
			}
		})
	}
}

// Many goroutines add timers of few ticks to the very library that paces a
// wheel. They hold it up, and at times deadlock it for good. The wheel goes on.
func TestPacer_AWheelOutlivesALibraryThatOthersOverload(t *testing.T) {
	t.Parallel() // it waits for a process of its own
	const role = "SESSIONWHEEL_HELPER"
	if os.Getenv(role) != "" {
		overload(t)
		return
	}
	// What is deadlocked never ends, so it has a process of its own.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), role+"=overload",
		"GORACE=atexit_sleep_ms=0") // the race detector would wait for a second at its exit
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the latest") {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "the latest") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

func overload(t *testing.T) {
	tw := timingwheel.NewTimingWheel(libraryTick, 3) // small, so that its buckets are soon in use again
	tw.Start()
	closing := make(chan struct{})
	w, err := newWheel(Config{}, func() pacer { return lastingLibrary{library{tw}, closing} })
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	for i := range 8 { // these may never end
		go func() {
			for j := i; !stop.Load(); j++ {
				tw.AfterFunc(time.Duration(1+j%5)*libraryTick, func() {})
				if j%64 == 0 {
					time.Sleep(10 * time.Microsecond)
				}
			}
		}()
	}
	var ours, probes lastOf
	arm := func(d time.Duration) {
		start := time.Now()
		ours.armed.Add(1)
		w.AfterFunc(d, func() { ours.note(time.Since(start) - d) })
		probes.armed.Add(1)
		time.AfterFunc(d, func() { probes.note(time.Since(start) - d) })
	}
	for i := range 200 {
		arm(20*time.Millisecond + rand.N(500*time.Millisecond))
		time.Sleep(5 * time.Millisecond)
		stop.Store(i >= 150)
	}
	lives := make(chan struct{})
	go tw.AfterFunc(10*libraryTick, func() { close(lives) })
	stuck := false
	select {
	case <-lives:
	case <-time.After(500 * time.Millisecond):
		stuck = true
	}
	rounds := 1
	if stuck {
		rounds = maxRescues // until the wheel gives the library up
	}
	for range rounds { // far apart, so that the wheel asks the library for them
		d := 2 * block
		arm(d)
		time.Sleep(d + d/4)
	}
	for end := time.Now().Add(30 * time.Second); ours.fired.Load() < ours.armed.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d timers were lost", ours.armed.Load()-ours.fired.Load(), ours.armed.Load())
		}
	}
	for probes.fired.Load() < probes.armed.Load() {
		time.Sleep(time.Millisecond)
	}
	st := w.Stats()
	close(closing)
	start := time.Now()
	w.Close()
	took := time.Since(start)
	late, early := ours.get()
	delay, _ := probes.get()
	t.Logf("the library is stuck: %v; of %d timers the latest was %v late, the runtime's latest %v; Close took %v; %+v",
		stuck, ours.fired.Load(), late, delay, took, st)
	if took > closeTimeout+10*time.Second {
		t.Errorf("Close took %v", took)
	}
	if early != 0 {
		t.Errorf("%d timers were early", early)
	}
	if most := 8*delay + defaultTick + libraryTime; late > most {
		t.Errorf("a timer was %v late; at most %v allowed", late, most)
	}
}

// lastingLibrary is the library, which is stopped only when the wheel closes:
// those who deadlock it go on when the wheel has given it up.
type lastingLibrary struct {
	library
	closing chan struct{}
}

func (l lastingLibrary) Stop() {
	<-l.closing
	l.library.Stop()
}

// lastOf notes the latest of some firings.
type lastOf struct {
	armed, fired atomic.Int64
	mu           sync.Mutex
	early        int
	latest       time.Duration
}

func (l *lastOf) note(late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fired.Add(1)
	l.latest = max(l.latest, late)
	if late < 0 {
		l.early++
	}
}

func (l *lastOf) get() (latest time.Duration, early int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest, l.early
}
