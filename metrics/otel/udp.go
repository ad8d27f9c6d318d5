package otelmetrics

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// UDP registers the instruments of a UDP server, which need not serve yet. Their
// measurements have the attribute server with the given name. The error is the
// provider's. UDP panics if srv is nil.
func UDP(p metric.MeterProvider, name string, srv *udp.Server) (metric.Registration, error) {
	if srv == nil {
		panic("otelmetrics: UDP: srv is nil")
	}
	in, s := newServer(p, name, pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown, pool.Closed, udp.ReasonPanic)
	received := in.counter("received.datagrams", "{datagram}", "Datagrams read from the socket.")
	handled := in.counter("handled.datagrams", "{datagram}", "Datagrams passed to OnMessage.")
	dropped := in.counter("dropped.datagrams", "{datagram}",
		"Datagrams that were dropped, by cause, except those refused a session.")
	return in.register(func(o observer) {
		st := srv.Stats()
		s.observe(o, st.Stats,
			refusal{"full", st.RefusedFull},
			refusal{"per_ip", st.RefusedPerIP},
			refusal{"closed", st.RefusedClosed})
		o.count(received, st.Received)
		o.count(handled, st.Handled)
		o.countBy(dropped, st.TooLarge, "cause", "too_large")
		o.countBy(dropped, st.PendingFull, "cause", "pending_full")
		o.countBy(dropped, st.BadAddress, "cause", "bad_address")
		o.countBy(dropped, st.OwnAddress, "cause", "own_address")
		o.countBy(dropped, st.NotAdmitted, "cause", "not_admitted")
		o.countBy(dropped, st.Late, "cause", "late")
	})
}
