// Package clockstep sets the wall clock, and nothing else, while timers are
// pending. It compiles only against a package time whose wall reading has an
// offset added, which clock_test.go at the root of the module makes.
//
// It runs in real time: a testing/synctest bubble has no monotonic clock beside
// its wall clock.
package clockstep

import (
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

const hour = 3600 // seconds

// step sets the wall clock to so much before or after the true time.
func step(seconds int64) { time.WallOffset.Store(seconds) }

// book is what became of the timers.
type book struct {
	mu     sync.Mutex
	armed  int
	fired  int
	early  int
	latest time.Duration
}

func (b *book) arm(w *wheel.Wheel, d time.Duration) {
	b.mu.Lock()
	b.armed++
	b.mu.Unlock()
	start := time.Now()
	w.AfterFunc(d, func() {
		late := time.Since(start) - d
		b.mu.Lock()
		defer b.mu.Unlock()
		b.fired++
		b.latest = max(b.latest, late)
		if late < 0 {
			b.early++
		}
	})
}

func TestStepsOfTheWallClock(t *testing.T) {
	defer step(0)
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b book
	start, cpu := time.Now(), busySeconds()
	for _, s := range []int64{-hour, 0, hour, -hour, hour, hour - 3, hour + 2, 0, -5} {
		b.arm(w, 300*time.Millisecond) // pending at the step
		b.arm(w, 2*time.Second)
		step(s)
		b.arm(w, time.Second) // armed in the new time
		for range 100 {
			b.arm(w, rand.N(2*time.Second))
			time.Sleep(rand.N(20 * time.Millisecond))
		}
		time.Sleep(500 * time.Millisecond)
	}
	// All is due in two seconds, or lost; or as late as the clock was stepped.
	time.Sleep(5 * time.Second)
	took, cpu := time.Since(start), busySeconds()-cpu
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Logf("%d timers: the latest was %v late; %.1f%% of a processor; %+v", b.armed, b.latest, 100*cpu/took.Seconds(), w.Stats())
	if b.early != 0 {
		t.Errorf("%d timers were early", b.early)
	}
	if b.fired != b.armed {
		t.Errorf("%d of %d timers have not fired", b.armed-b.fired, b.armed)
	}
	if b.latest > 2*time.Second { // a second is promised, and another left for a slow machine
		t.Errorf("a timer was %v late", b.latest)
	}
	if cpu > took.Seconds()/2 {
		t.Errorf("the wheel was busy for %.1fs of %v", cpu, took)
	}
}

// The clock is really stepped, and so the test above can fail.
func TestTheWallClockIsStepped(t *testing.T) {
	before := time.Now()
	step(hour)
	defer step(0)
	after := time.Now()
	if after.Unix()-before.Unix() < hour-1 || after.Sub(before) > time.Minute {
		t.Fatal("the wall reading did not move, or the monotonic one did")
	}
}

// busySeconds is the time that processors have spent on Go code so far, which
// the runtime brings up to date at a collection.
func busySeconds() float64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64()
}
