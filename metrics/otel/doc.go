// Package otelmetrics shows servers, pools and wheels to OpenTelemetry, by
// observable instruments of a MeterProvider that its user brings: [Server], [UDP],
// [Pool] and [Wheel] each register them, and Unregister of what they return takes
// them away. No goroutine runs; the provider's readers ask when they collect.
//
//	reader := sdkmetric.NewPeriodicReader(exporter,
//		sdkmetric.WithProducer(otelmetrics.Lateness("main", w)))
//	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
//
//	registration, err := otelmetrics.Server(provider, "chat", srv)
//	...
//	defer registration.Unregister()
//
// The name that each takes is the attribute server, or wheel, of all that it
// measures, and tells several of them apart: two of one name at one provider would
// be mixed up. Bytes of it that are no UTF-8 become U+FFFD.
//
// The usual translation to Prometheus gives the names and labels that package
// metrics exposes, so dashboards and alerts serve for both.
//
// # Lateness
//
// The wheel keeps how late each callback started as a histogram. OpenTelemetry's
// API has no instrument for a histogram that is filled already, and recording what
// was added since the last collection, value by value, would give each a value
// that it did not have. So [Lateness] is a Producer of the SDK: it hands the
// histogram itself to a reader, as an exponential one of scale 2, whose buckets are
// the wheel's own. A producer is given to each reader when that is made, cannot be
// taken away, and is not told which temporality the reader prefers: this one is
// always cumulative.
//
// # The attribute reason
//
// The reason that a session is closed for may be any text. The pool tells its first
// 64 apart, beside its own, and counts the rest as pool.OtherReasons; the reasons of
// the package that is watched are shown from 0 on. A reason is cut after 128 bytes, bytes that are no UTF-8
// become U+FFFD, and no text at all is shown as "(none)". Reasons that look alike
// then are counted together.
package otelmetrics
