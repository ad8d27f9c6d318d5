package soak

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// modelTimer is a timer, what it did, and what the model knows of it.
type modelTimer struct {
	wheel.Timer

	mu    sync.Mutex
	fires []time.Duration // guarded by mu: when the callback ran

	// The model's, of the lane's goroutine.
	armed   int             // armings
	ended   int             // of them, by Stop or Reset
	pending bool            // it was, after the last operation; it may have fired since
	due     time.Duration   // no later than the deadline
	dues    []time.Duration // of the armings that no call has ended, as they were last
}

func (t *modelTimer) fired() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.fires)
}

// modelWheel runs a model of a wheel.
func modelWheel(ctx context.Context, r *Run, rng *rand.Rand, end time.Time) error {
	w, err := wheel.New(wheel.Config{Tick: time.Duration(1+rng.IntN(20)) * time.Millisecond})
	if err != nil {
		return err
	}
	defer w.Close()
	start := time.Now()
	timers := make([]*modelTimer, 12)
	for i := range timers {
		t := &modelTimer{}
		t.Init(w, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.fires = append(t.fires, time.Since(start))
		})
		timers[i] = t
	}
	for n := 0; (n < modelLeast || time.Now().Before(end)) && ctx.Err() == nil; n++ {
		r.count(1)
		t := timers[rng.IntN(len(timers))]
		if err := t.step(r, rng, start); err != nil {
			return err
		}
		if rng.IntN(4) == 0 {
			time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
		}
	}
	return modelWheelEnd(ctx, r, w, timers)
}

// step does one operation.
func (t *modelTimer) step(r *Run, rng *rand.Rand, start time.Time) error {
	before := time.Since(start)
	switch op := rng.IntN(10); {
	case op < 5:
		d := modelDuration(rng)
		was := t.Reset(r.given(d))
		if err := t.told("Reset", was, time.Since(start)); err != nil {
			return err
		}
		t.end(was)
		t.arm(before + d)
	case op < 8:
		d := modelDuration(rng)
		did := t.Extend(r.given(d))
		if err := t.told("Extend", did, time.Since(start)); err != nil {
			return err
		}
		if did {
			t.due = max(t.due, before+d)
			t.dues[len(t.dues)-1] = t.due
		} else {
			t.pending = false
		}
	default:
		did := t.Stop()
		if err := t.told("Stop", did, time.Since(start)); err != nil {
			return err
		}
		t.end(did)
	}
	return nil
}

// told compares what an operation reports of whether the timer was pending with
// the model; after is when it had returned.
func (t *modelTimer) told(op string, was bool, after time.Duration) error {
	switch {
	case was && !t.pending:
		return broken(agreement, "Timer.%s reports true on a timer that is not pending", op)
	case !was && t.pending && after < t.due:
		return broken(agreement, "Timer.%s reports false on a timer that is not due for %v", op, t.due-after)
	}
	return nil
}

// end notes that a call ended the arming, or that it had ended before.
func (t *modelTimer) end(did bool) {
	if did {
		t.ended++
		t.dues = t.dues[:len(t.dues)-1]
	}
	t.pending = false
}

// arm notes what Reset did.
func (t *modelTimer) arm(due time.Duration) {
	t.armed++
	t.pending, t.due = true, due
	t.dues = append(t.dues, due)
}

// modelWheelEnd waits for what must fire and compares the accounts.
func modelWheelEnd(ctx context.Context, r *Run, w *wheel.Wheel, timers []*modelTimer) error {
	far := 0
	for _, t := range timers {
		if due, pending := t.Due(); pending && due > w.Elapsed()+time.Minute {
			t.end(t.Stop())
			far++
		}
	}
	all := eventually(ctx, callbackPatience, func() bool {
		for _, t := range timers {
			if t.fired() != t.armed-t.ended {
				return false
			}
		}
		return true
	})
	for _, t := range timers {
		if n, want := t.fired(), t.armed-t.ended; n > want {
			return broken(exactlyOnce, "of %d armings %d were ended by a call, and %d ran the callback", t.armed, t.ended, n)
		} else if n < want && !all && ctx.Err() == nil {
			return broken(nothingLost, "of %d armings %d were ended by a call, and %d ran the callback", t.armed, t.ended, n)
		}
		if err := t.judgeFires(r); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if n := w.Len(); n != 0 && ctx.Err() == nil {
		return broken(agreement, "Wheel.Len is %d when no timer is pending", n)
	}
	return nil
}

// judgeFires compares when the callback ran with the deadlines. Its runs may
// overtake each other: put in order, each still has its own deadline's bounds.
func (t *modelTimer) judgeFires(r *Run) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.fires)
	slices.Sort(t.dues)
	most := allowed(time.Second, r.delay.delay())
	for i := range min(len(t.fires), len(t.dues)) {
		late := t.fires[i] - t.dues[i]
		switch {
		case late < 0:
			return broken(neverEarly, "a timer fired %v early", -late)
		case late > most:
			return broken(boundedLateness, "a timer fired %v late, where %v are allowed", late, most)
		}
		r.late(late)
	}
	return nil
}
