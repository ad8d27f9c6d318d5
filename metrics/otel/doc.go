// Package otelmetrics exposes servers, pools and wheels to OpenTelemetry, with
// observable instruments of a MeterProvider that the caller makes. [Server], [UDP],
// [Pool] and [Wheel] register them and return a registration, whose Unregister
// removes them. No goroutine is started: the provider's readers call the package
// when they collect.
//
//	reader := sdkmetric.NewPeriodicReader(exporter,
//		sdkmetric.WithProducer(otelmetrics.Lateness("main", w)))
//	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
//
//	registration, err := otelmetrics.Server(provider, "chat", srv)
//	...
//	defer registration.Unregister()
//
// The name passed to each function is the value of the attribute server, or wheel, of
// all its measurements. At one provider, use different names: the measurements of two
// servers with one name cannot be told apart. Invalid UTF-8 in a name becomes U+FFFD.
//
// The usual translation to Prometheus yields the names and labels of package metrics,
// so its dashboards and alerts work with both.
//
// # Lateness
//
// The wheel counts how late each callback started in a histogram. OpenTelemetry's API
// has no instrument for an existing histogram, and recording its counts value by value
// would give each callback a value that it did not have. Therefore [Lateness] returns
// a Producer of the SDK, which passes the histogram itself to a reader, as an
// exponential histogram of scale 2 with the wheel's own buckets. A producer is given
// to a reader when the reader is made and cannot be removed. It does not know which
// temporality the reader prefers, so its data is always cumulative.
//
// # The attribute reason
//
// The reason for closing a session may be any text. The pool counts its first 64
// distinct reasons, besides its own, one by one, and the rest as pool.OtherReasons.
// The reasons for which a server itself closes sessions are present from the
// beginning. Reasons are cut after 128 bytes, invalid UTF-8 becomes U+FFFD, and the
// empty text becomes "(none)". Reasons that are equal after that are counted together.
package otelmetrics
