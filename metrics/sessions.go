package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionwheel/sessionwheel/pool"
)

// sessions holds the metrics of a pool.Stats.
type sessions struct {
	open, registered, closed, refused family
	known                             []pool.Reason // exposed even if no session was closed for them
}

// refusal is the number of sessions refused for one cause.
type refusal struct {
	cause string
	n     uint64
}

// newServer returns a collector and the metrics of its sessions. The caller sets
// Collector.collect.
func newServer(name string, known ...pool.Reason) (*Collector, *sessions) {
	c := &Collector{labels: prometheus.Labels{"server": name}}
	return c, &sessions{
		open:       c.gauge("sessions_open", "Sessions that are open."),
		registered: c.counter("sessions_registered_total", "Sessions that were registered."),
		closed:     c.counter("sessions_closed_total", "Sessions that were closed, by reason.", "reason"),
		refused: c.counter("sessions_refused_total",
			"Sessions that were refused, by cause; for a UDP server, datagrams that would have begun one.", "cause"),
		known: known,
	}
}

// collect sends the metrics of st.
func (s *sessions) collect(ch send, st pool.Stats, refusals ...refusal) {
	ch <- s.open.metric(float64(st.Sessions))
	ch <- s.registered.count(st.Registered)
	for reason, n := range byLabel(st.ByReason, s.known) {
		ch <- s.closed.count(n, reason)
	}
	for _, r := range refusals {
		ch <- s.refused.count(r.n, r.cause)
	}
}

// Pool returns a collector for a pool of any type, given its Stats method. Its
// metrics have the label server with the given name. Pool panics if stats is nil.
func Pool(name string, stats func() pool.Stats) *Collector {
	if stats == nil {
		panic("metrics: Pool: stats is nil: pass the pool's Stats method")
	}
	c, s := newServer(name, pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown, pool.Closed)
	c.collect = func(ch send) {
		st := stats()
		s.collect(ch, st,
			refusal{"duplicate", st.RefusedDuplicate},
			refusal{"full", st.RefusedFull},
			refusal{"closed", st.RefusedClosed},
			refusal{"unclaimed", st.RefusedUnclaimed})
	}
	return c
}
