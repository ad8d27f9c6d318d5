// Package metrics exposes servers, pools and wheels to Prometheus. [Server], [UDP],
// [Pool] and [Wheel] each return a collector, which the caller registers. Nothing is
// registered by itself, and no goroutine is started.
//
//	w, err := wheel.New(wheel.Config{})
//	...
//	srv := &tcp.Server{Wheel: w}
//	reg := prometheus.NewRegistry()
//	reg.MustRegister(metrics.Wheel("main", w), metrics.Server("chat", srv))
//	http.Handle("/metrics", metrics.Handler(reg))
//
// The name passed to a constructor is the value of the label server, or wheel, of
// all its metrics. Two collectors of one registry need different names; a collector
// that is alone may have an empty name. To add other labels, wrap the registry with
// prometheus.WrapRegistererWith.
//
// The collector of a server does not include its wheel. To expose that, make the
// wheel, and pass it to the server and to [Wheel]. Several servers may share one.
//
// # Values
//
// A scrape reads counters that the server keeps anyway. It takes some tens of
// microseconds, whatever the number of sessions. Counters start at zero with the
// server and never go down. Those of the reasons for which the server itself closes
// sessions are present from the beginning.
//
// Lateness is a histogram of how long after its deadline each callback started. It
// has native buckets of schema 2, which are the wheel's own, and 17 classic buckets
// for scrapers without native histograms.
//
// # The label reason
//
// The reason for closing a session may be any text. The pool counts its first 64
// distinct reasons, besides its own, one by one, and the rest as pool.OtherReasons.
// A label cannot hold every text, so reasons are changed: they are cut after 128
// bytes, invalid UTF-8 becomes U+FFFD, and the empty text becomes "(none)". Reasons
// that are equal after that are counted together.
package metrics
