// Package metrics shows servers, pools and wheels to Prometheus: each of
// [Server], [UDP], [Pool] and [Wheel] makes a collector, which its user registers
// where it belongs. Nothing is registered by itself, and no goroutine runs.
//
//	w, err := wheel.New(wheel.Config{})
//	...
//	srv := &tcp.Server{Wheel: w}
//	reg := prometheus.NewRegistry()
//	reg.MustRegister(metrics.Wheel("main", w), metrics.Server("chat", srv))
//	http.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
//
// The name that each constructor takes is the value of the label server, or
// wheel, of all its metrics. It tells several of them apart, so two collectors in
// one registry need different names; where there is one, it may be empty.
// Whoever wants further labels wraps the registry in
// prometheus.WrapRegistererWith.
//
// A server does not show its wheel. Whoever wants to see that makes the wheel,
// gives it to the server and to [Wheel]: several servers may share one.
//
// # What is shown
//
// A scrape reads what the server has counted anyway: some tens of microseconds, whatever
// the number of sessions. Counters start at zero with the server, those of the
// reasons that it closes sessions for itself included, and never go down.
//
// Lateness, the histogram of how long after its deadline each callback started,
// has native buckets of schema 2, which are the wheel's own, and beside them 17
// classic ones for scrapers that know no other.
//
// # The label reason
//
// The reason that a session is closed for may be any text. The pool tells its first
// 64 apart, beside its own, and counts the rest as pool.OtherReasons; the reasons of
// the package that is watched are shown from 0 on. What a label can't hold is changed: a reason is cut after
// 128 bytes, bytes that are no UTF-8 become U+FFFD, and no text at all is shown as
// "(none)". Reasons that look alike then are counted together.
package metrics
