package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionwheel/sessionwheel/pool"
)

// sessions are the metrics of a pool.Stats.
type sessions struct {
	open, registered, closed, refused family
	known                             []pool.Reason // closed for these is shown even if none was
}

// refusal is how often no session was begun, and why.
type refusal struct {
	cause string
	n     uint64
}

// newServer makes a collector of sessions, closed for the given reasons and
// others. What it collects is up to the caller.
func newServer(name string, known ...pool.Reason) (*Collector, *sessions) {
	c := &Collector{labels: prometheus.Labels{"server": name}}
	return c, &sessions{
		open:       c.gauge("sessions_open", "Sessions that are open."),
		registered: c.counter("sessions_registered_total", "Sessions that were registered."),
		closed:     c.counter("sessions_closed_total", "Sessions that were closed, by reason.", "reason"),
		refused: c.counter("sessions_refused_total",
			"Sessions that were refused, by cause; of a UDP server, datagrams that would have begun one.", "cause"),
		known: known,
	}
}

func (s *sessions) collect(ch send, st pool.Stats, refusals ...refusal) {
	ch <- s.open.metric(float64(st.Sessions))
	ch <- s.registered.count(st.Registered)
	for reason, n := range labelled(st.ByReason, s.known) {
		ch <- s.closed.count(n, reason)
	}
	for _, r := range refusals {
		ch <- s.refused.count(r.n, r.cause)
	}
}

// Pool makes a collector of a pool of any kind, given its Stats method. The name
// is the label server. Pool panics if stats is nil.
func Pool(name string, stats func() pool.Stats) *Collector {
	if stats == nil {
		panic("metrics: Pool: stats is nil: give the pool's Stats method")
	}
	c, s := newServer(name, pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown)
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
