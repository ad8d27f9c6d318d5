package otelmetrics

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionwheel/sessionwheel/pool"
)

// sessions holds the instruments of a pool.Stats.
type sessions struct {
	open                        metric.Int64ObservableUpDownCounter
	registered, closed, refused metric.Int64ObservableCounter
	known                       []pool.Reason // measured even if no session was closed for them
}

// refusal is the number of sessions refused for one cause.
type refusal struct {
	cause string
	n     uint64
}

// newServer returns the instruments of a server's sessions, and the set that the
// caller adds others to and registers.
func newServer(p metric.MeterProvider, name string, known ...pool.Reason) (*instruments, *sessions) {
	in := newInstruments(p, "server", name)
	return in, &sessions{
		open:       in.level("sessions.open", "{session}", "Sessions that are open."),
		registered: in.counter("sessions.registered", "{session}", "Sessions that were registered."),
		closed:     in.counter("sessions.closed", "{session}", "Sessions that were closed, by reason."),
		refused: in.counter("sessions.refused", "{session}",
			"Sessions that were refused, by cause; for a UDP server, datagrams that would have begun one."),
		known: known,
	}
}

// observe records the measurements of st.
func (s *sessions) observe(o observer, st pool.Stats, refusals ...refusal) {
	o.count(s.open, uint64(st.Sessions))
	o.count(s.registered, st.Registered)
	for reason, n := range byAttribute(st.ByReason, s.known) {
		o.countBy(s.closed, n, "reason", reason)
	}
	for _, r := range refusals {
		o.countBy(s.refused, r.n, "cause", r.cause)
	}
}

// Pool registers the instruments of a pool of any type, given its Stats method. Their
// measurements have the attribute server with the given name. The error is the
// provider's. Pool panics if stats is nil.
func Pool(p metric.MeterProvider, name string, stats func() pool.Stats) (metric.Registration, error) {
	if stats == nil {
		panic("otelmetrics: Pool: stats is nil: pass the pool's Stats method")
	}
	in, s := newServer(p, name, pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown, pool.Closed)
	return in.register(func(o observer) {
		st := stats()
		s.observe(o, st,
			refusal{"duplicate", st.RefusedDuplicate},
			refusal{"full", st.RefusedFull},
			refusal{"closed", st.RefusedClosed},
			refusal{"unclaimed", st.RefusedUnclaimed})
	})
}
