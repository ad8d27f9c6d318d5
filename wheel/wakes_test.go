package wheel

import (
	"testing"
	"testing/synctest"
	"time"
)

// wakes counts how often the driver wakes until d has passed, and at how many ticks
// slots in use come up in that time.
func wakes(w *Wheel, d time.Duration) (woke, slots int) {
	const step = time.Millisecond
	before := w.driver.wakes.Load()
	up := make(map[int64]bool) // the wheel's ticks at which a slot in use comes up
	for range d / step {
		for i := range w.shards {
			s := &w.shards[i]
			s.mu.Lock()
			if next := s.wheelTick(s.slots.next()); next != none && time.Duration(next)*w.tick <= w.Elapsed()+step {
				up[next] = true
			}
			s.mu.Unlock()
		}
		time.Sleep(step)
		synctest.Wait()
	}
	return int(w.driver.wakes.Load() - before), len(up)
}

func TestDriver_WakesAtMostTwiceForASlotAndOnceWhereSlotsAreNear(t *testing.T) {
	t.Parallel() // beside the test that waits for its process
	const idle = 30 * time.Second
	for _, tt := range []struct {
		name    string
		entries int
		apart   time.Duration
		pacer   func() pacer
		each    int // wakes for a slot
		more    int // wakes
	}{
		{"one", 1, 0, newLibrary, 2, 0},
		{"one, early library", 1, 0, func() pacer { return new(earlyPacer) }, 3, 0},
		{"one, dead library", 1, 0, func() pacer { return deadPacer{} }, 2, maxRescues},
		{"a hundred at once", 100, 0, newLibrary, 2, 0},
		{"a few a second", 100, 300 * time.Millisecond, newLibrary, 2, 0},
		{"in each tick", 3000, defaultTick, newLibrary, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := newWheel(Config{}, tt.pacer)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				for range tt.entries {
					w.AfterFunc(idle, func() {})
					time.Sleep(tt.apart)
				}
				synctest.Wait()
				woke, slots := wakes(w, idle+time.Second)
				t.Logf("woke %d times for %d slots", woke, slots)
				if slots == 0 || w.Len() != 0 {
					t.Fatalf("%d slots came up, and %d timers are left", slots, w.Len())
				}
				if most := tt.each*slots + tt.more; woke > most {
					t.Errorf("woke %d times for %d slots: at most %d expected", woke, slots, most)
				}
			})
		})
	}
}

func TestDriver_WithoutTimersDoesNotWake(t *testing.T) {
	t.Parallel() // beside the test that waits for its process
	synctest.Test(t, func(t *testing.T) {
		w, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.AfterFunc(time.Hour, func() {}).Stop()
		synctest.Wait()
		time.Sleep(2 * time.Hour) // it may wake for what was stopped
		synctest.Wait()
		if woke, _ := wakes(w, time.Minute); woke != 0 {
			t.Errorf("a wheel without timers woke %d times in a minute", woke)
		}
	})
}
