package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// Wheel returns a collector for a wheel. Its metrics have the label wheel with the
// given name. Wheel panics if w is nil.
func Wheel(name string, w *wheel.Wheel) *Collector {
	if w == nil {
		panic("metrics: Wheel: w is nil")
	}
	c := &Collector{labels: prometheus.Labels{"wheel": name}, since: w.Time(0)}
	tick := c.gauge("tick_seconds", "Resolution of the wheel.")
	pending := c.gauge("timers_pending", "Timers that are armed.")
	fired := c.counter("timers_fired_total", "Times that a timer fired.")
	moved := c.counter("timers_moved_total", "Timers that moved to another slot when theirs came up.")
	slots := c.gauge("slots_used", "Slots of the wheel that hold timers.")
	running := c.gauge("callbacks_running", "Goroutines that run callbacks.")
	waiting := c.gauge("callbacks_waiting", "Callbacks that are due and wait for a goroutine.")
	rescues := c.counter("rescues_total", "Times that the library missed a slot and the watchdog woke the wheel.")
	disabled := c.gauge("library_disabled", "1 if the wheel stopped using the library after repeated rescues, 0 otherwise.")
	lateness := c.describe("lateness_seconds", "How long after its deadline each callback started; more than 64 s is counted in the last native bucket.")
	c.collect = func(ch send) {
		st := w.Stats()
		ch <- tick.metric(w.Tick().Seconds())
		ch <- pending.metric(float64(st.Pending))
		ch <- fired.count(st.Fired)
		ch <- moved.count(st.Moved)
		ch <- slots.metric(float64(st.Slots))
		ch <- running.metric(float64(st.Running))
		ch <- waiting.metric(float64(st.Waiting))
		ch <- rescues.count(st.Rescued)
		ch <- disabled.metric(oneIf(st.LibraryDisabled))
		ch <- newHistogram(lateness, st.Late, c.since)
	}
	return c
}

// oneIf returns 1 if yes is true, and 0 otherwise.
func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
