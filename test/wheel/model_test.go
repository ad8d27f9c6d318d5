package wheel_test

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// call is one call of a sequence, with its duration if it takes one.
type modelCall struct {
	// "Reset", "ResetTo", "Extend", "Stop", "Sleep"; "Again": the timer's next
	// run calls Reset; "Close", and "CloseInside" a callback.
	name  string
	timer int
	d     time.Duration
}

func (c modelCall) String() string { return fmt.Sprintf("%s(%d, %v)", c.name, c.timer, c.d) }

// run is a callback's run: of which timer, and when.
type callbackRun struct {
	timer int
	at    time.Duration
}

// outcome is what can be observed after a call.
type outcome struct {
	reported bool
	pending  int           // Len
	due      time.Duration // of the call's timer: what it waits for, or fired for
	waits    bool
	ran      []callbackRun // since the call before, in order
}

// sortedList is the model: timers in the order of their deadlines.
type sortedList struct {
	tick, now time.Duration
	pending   []callbackRun // at is the deadline
	ran       []callbackRun
	due       map[int]time.Duration // of the pending and the fired
	again     map[int]time.Duration // what the next run calls Reset with
	closed    bool
}

func newSortedList(tick time.Duration) *sortedList {
	return &sortedList{tick: tick, due: make(map[int]time.Duration), again: make(map[int]time.Duration)}
}

const longest = time.Duration(math.MaxInt64)

// firesAt is the first tick that is not before a deadline.
func (l *sortedList) firesAt(due time.Duration) time.Duration {
	if due > longest-l.tick {
		return longest
	}
	return (due + l.tick - 1) / l.tick * l.tick
}

// deadlineAfter is now + d, at most longest.
func deadlineAfter(now, d time.Duration) time.Duration {
	if d > longest-now {
		return longest
	}
	return now + d
}

func (l *sortedList) find(timer int) int {
	return slices.IndexFunc(l.pending, func(r callbackRun) bool { return r.timer == timer })
}

func (l *sortedList) reset(timer int, now, d time.Duration) {
	switch {
	case l.closed:
	case d <= 0:
		l.due[timer] = now + d
		l.run(timer, now)
	default:
		l.pending = append(l.pending, callbackRun{timer, deadlineAfter(now, d)})
	}
}

func (l *sortedList) run(timer int, at time.Duration) {
	l.ran = append(l.ran, callbackRun{timer, at})
	if d, ok := l.again[timer]; ok {
		delete(l.again, timer)
		l.reset(timer, at, d)
	}
}

// first returns the pending timer with the earliest deadline.
func (l *sortedList) first() callbackRun {
	return slices.MinFunc(l.pending, func(a, b callbackRun) int { return cmp.Compare(a.at, b.at) })
}

func (l *sortedList) do(c modelCall) outcome {
	i := l.find(c.timer)
	was := i >= 0 && slices.Contains([]string{"Stop", "Reset", "ResetTo", "Extend"}, c.name)
	switch c.name {
	case "Stop":
		if was {
			l.pending = slices.Delete(l.pending, i, i+1)
			delete(l.due, c.timer)
		}
	case "Reset", "ResetTo":
		if was {
			l.pending = slices.Delete(l.pending, i, i+1)
		}
		l.reset(c.timer, l.now, c.d)
	case "Again":
		l.again[c.timer] = c.d
	case "Extend":
		if was && c.d > 0 {
			l.pending[i].at = max(l.pending[i].at, deadlineAfter(l.now, c.d))
		}
	case "Sleep":
		l.now += c.d
	case "Close", "CloseInside":
		for _, r := range l.pending {
			delete(l.due, r.timer)
		}
		l.closed, l.pending = true, nil
	}
	for len(l.pending) > 0 && l.firesAt(l.first().at) <= l.now {
		first := l.first()
		i := l.find(first.timer)
		l.pending = slices.Delete(l.pending, i, i+1)
		l.due[first.timer] = first.at
		l.run(first.timer, l.firesAt(first.at))
	}
	for _, r := range l.pending {
		l.due[r.timer] = r.at
	}
	a := outcome{reported: was, pending: len(l.pending), due: l.due[c.timer], waits: l.find(c.timer) >= 0, ran: inOrder(l.ran)}
	if a.due <= 1 { // a time before the wheel's own is reported as its beginning
		a.due = 0
	}
	l.ran = nil
	return a
}

// inOrder sorts callbacks that ran at the same time by timer, since the wheel
// promises no order.
func inOrder(ran []callbackRun) []callbackRun {
	slices.SortFunc(ran, func(a, b callbackRun) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.timer, b.timer))
	})
	return ran
}

// runOnWheel makes the calls on a wheel in a bubble, and waits after each until
// everything is blocked.
func runOnWheel(t *testing.T, tick time.Duration, timers int, calls []modelCall) (seen []outcome) {
	synctest.Test(t, func(t *testing.T) {
		w := harness.NewWheel(t, wheel.Config{Tick: tick})
		var mu sync.Mutex
		var ran []callbackRun
		again := make(map[int]time.Duration)
		ts := make([]wheel.Timer, timers)
		for i := range ts {
			ts[i].Init(w, func() {
				mu.Lock()
				ran = append(ran, callbackRun{i, w.Elapsed()})
				d, ok := again[i]
				delete(again, i)
				mu.Unlock()
				if ok {
					ts[i].Reset(d)
				}
			})
		}
		for _, c := range calls {
			var a outcome
			switch c.name {
			case "Stop":
				a.reported = ts[c.timer].Stop()
			case "Reset":
				a.reported = ts[c.timer].Reset(c.d)
			case "ResetTo":
				a.reported = ts[c.timer].ResetTo(w.Elapsed(), deadlineAfter(w.Elapsed(), c.d))
			case "Extend":
				a.reported = ts[c.timer].Extend(c.d)
			case "Sleep":
				time.Sleep(c.d)
			case "Again":
				mu.Lock()
				again[c.timer] = c.d
				mu.Unlock()
			case "Close":
				w.Close()
			case "CloseInside":
				w.AfterFunc(0, w.Close)
			}
			synctest.Wait()
			a.pending = w.Len()
			if a.due, a.waits = ts[c.timer].Due(); a.due <= 1 {
				a.due = 0
			}
			mu.Lock()
			a.ran, ran = inOrder(ran), nil
			mu.Unlock()
			seen = append(seen, a)
		}
	})
	return seen
}

// compareToList returns an error that says where wheel and list differ.
func compareToList(seen []outcome, tick time.Duration, calls []modelCall) error {
	model := newSortedList(tick)
	for i, got := range seen {
		if want := model.do(calls[i]); !reflect.DeepEqual(got, want) {
			return fmt.Errorf("after %v, call %d: got %+v, want %+v", calls[i], i, got, want)
		}
	}
	return nil
}

// TestModel_AWheelDoesWhatASortedListDoes draws calls at the edges of ticks and of
// levels.
func TestModel_AWheelDoesWhatASortedListDoes(t *testing.T) {
	t.Parallel() // beside tests that wait for their processes
	const timers = 6
	for _, tick := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 7*time.Millisecond + 1} {
		edge := rapid.Custom(func(rt *rapid.T) time.Duration {
			n := rapid.SampledFrom([]int{1, 2, 63, 64, 65, 128, 4095, 4096, 4097, 8192, 262_144}).Draw(rt, "ticks")
			return time.Duration(n)*tick + time.Duration(rapid.IntRange(-1, 1).Draw(rt, "off"))
		})
		small := rapid.Custom(func(rt *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(1, int64(200*tick)).Draw(rt, "d"))
		})
		finite := rapid.OneOf(edge, small)
		extreme := rapid.SampledFrom([]time.Duration{0, -1, math.MinInt64, longest, longest - 1, longest / 4})
		calls := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) modelCall {
			c := modelCall{timer: rapid.IntRange(0, timers-1).Draw(rt, "timer")}
			c.name = rapid.SampledFrom([]string{"Reset", "Extend", "Stop", "Sleep", "ResetTo", "Extend", "Sleep", "Again"}).Draw(rt, "name")
			switch c.name {
			case "Reset", "ResetTo", "Extend", "Again":
				c.d = rapid.OneOf(finite, finite, finite, extreme).Draw(rt, "d")
			case "Sleep":
				c.d = finite.Draw(rt, "d")
			}
			return c
		}), 1, 150)
		t.Run(tick.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				calls := calls.Draw(rt, "calls")
				if err := compareToList(runOnWheel(t, tick, timers, calls), tick, calls); err != nil {
					rt.Log(err)
					rt.Fatal("the wheel and the list disagree")
				}
			})
		})
	}
}

// TestModel_EveryOrderOfCallsEndsEachArmingOnce tries all sequences of four calls on
// an armed timer, one after the other on one wheel, and all sequences of three calls
// one of which closes the wheel, each on a wheel of its own.
func TestModel_EveryOrderOfCallsEndsEachArmingOnce(t *testing.T) {
	t.Parallel() // beside tests that wait for their processes
	const tick = 10 * time.Millisecond
	choices := []modelCall{
		{name: "Stop"},
		{name: "Reset"},
		{name: "Reset", d: tick / 2},
		{name: "Reset", d: 2*tick + 1},
		{name: "Extend", d: 2 * tick},
		{name: "Sleep", d: tick},
	}
	var all []modelCall
	for calls := range sequences(4, choices) {
		all = append(all, onArmed(tick, calls)...)
	}
	endsEachArmingOnce(t, tick, all)
	for calls := range sequences(3, append(choices, modelCall{name: "Close"})) {
		if slices.Contains(calls, modelCall{name: "Close"}) {
			endsEachArmingOnce(t, tick, onArmed(tick, calls))
		}
	}
}

// sequences are all sequences of n choices.
func sequences(n int, choices []modelCall) iter.Seq[[]modelCall] {
	return func(yield func([]modelCall) bool) {
		calls := make([]modelCall, n)
		for k := range int(math.Pow(float64(len(choices)), float64(n))) {
			for i := range calls {
				calls[i] = choices[k%len(choices)]
				k /= len(choices)
			}
			if !yield(calls) {
				return
			}
		}
	}
}

// onArmed puts the calls between one that arms the timer and a time after which no
// timer waits.
func onArmed(tick time.Duration, calls []modelCall) []modelCall {
	return slices.Concat([]modelCall{{name: "Reset", d: tick + 1}}, calls, []modelCall{{name: "Sleep", d: time.Hour}})
}

// endsEachArmingOnce makes the calls on a wheel with one timer, compares each with the
// model, and counts what was armed and what ended.
func endsEachArmingOnce(t *testing.T, tick time.Duration, calls []modelCall) {
	t.Helper()
	model := newSortedList(tick)
	armed, ended, pending, closed := 0, 0, 0, false
	for i, got := range runOnWheel(t, tick, 1, calls) {
		if want := model.do(calls[i]); !reflect.DeepEqual(want, got) {
			require.Equal(t, want, got, "the last of %v", calls[max(0, i-5):i+1])
		}
		switch name := calls[i].name; {
		case name == "Reset" && !closed:
			armed++
		case name == "Close" && !closed:
			closed = true
			ended += pending
		}
		if got.reported && calls[i].name != "Extend" {
			ended++
		}
		ended += len(got.ran)
		pending = got.pending
		if armed != ended+pending {
			require.Equal(t, armed, ended+pending, "after the last of %v", calls[max(0, i-5):i+1])
		}
	}
}
