package otelmetrics

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// Wheel registers the instruments of a wheel, except its lateness, which [Lateness]
// produces. Their measurements have the attribute wheel with the given name. The
// error is the provider's. Wheel panics if w is nil.
func Wheel(p metric.MeterProvider, name string, w *wheel.Wheel) (metric.Registration, error) {
	if w == nil {
		panic("otelmetrics: Wheel: w is nil")
	}
	in := newInstruments(p, "wheel", name)
	tick := in.gauge("tick", "s", "Resolution of the wheel.")
	pending := in.level("timers.pending", "{timer}", "Timers that are armed.")
	fired := in.counter("timers.fired", "{timer}", "Times that a timer fired.")
	moved := in.counter("timers.moved", "{timer}", "Timers that moved to another slot when theirs came up.")
	slots := in.level("slots.used", "{slot}", "Slots of the wheel that hold timers.")
	running := in.level("callbacks.running", "{goroutine}", "Goroutines that run callbacks.")
	waiting := in.level("callbacks.waiting", "{callback}", "Callbacks that are due and wait for a goroutine.")
	rescues := in.counter("rescues", "{rescue}", "Times that the library missed a slot and the watchdog woke the wheel.")
	disabled := in.gauge("library.disabled", "", "1 if the wheel stopped using the library after repeated rescues, 0 otherwise.")
	return in.register(func(o observer) {
		st := w.Stats()
		o.gauge(tick, w.Tick().Seconds())
		o.count(pending, uint64(st.Pending))
		o.count(fired, st.Fired)
		o.count(moved, st.Moved)
		o.count(slots, uint64(st.Slots))
		o.count(running, uint64(st.Running))
		o.count(waiting, uint64(st.Waiting))
		o.count(rescues, st.Rescued)
		o.gauge(disabled, oneIf(st.LibraryDisabled))
	})
}

// oneIf returns 1 if yes is true, and 0 otherwise.
func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
