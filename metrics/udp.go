package metrics

import (
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// UDP returns a collector for a UDP server, which need not serve yet. Its metrics
// have the label server with the given name. UDP panics if srv is nil.
func UDP(name string, srv *udp.Server) *Collector {
	if srv == nil {
		panic("metrics: UDP: srv is nil")
	}
	c, s := newServer(name, pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown, pool.Closed, udp.ReasonPanic)
	received := c.counter("received_datagrams_total", "Datagrams read from the socket.")
	handled := c.counter("handled_datagrams_total", "Datagrams passed to OnMessage.")
	dropped := c.counter("dropped_datagrams_total",
		"Datagrams that were dropped, by cause, except those refused a session.", "cause")
	c.collect = func(ch send) {
		st := srv.Stats()
		s.collect(ch, st.Stats,
			refusal{"full", st.RefusedFull},
			refusal{"per_ip", st.RefusedPerIP},
			refusal{"closed", st.RefusedClosed})
		ch <- received.count(st.Received)
		ch <- handled.count(st.Handled)
		ch <- dropped.count(st.TooLarge, "too_large")
		ch <- dropped.count(st.PendingFull, "pending_full")
		ch <- dropped.count(st.BadAddress, "bad_address")
		ch <- dropped.count(st.OwnAddress, "own_address")
		ch <- dropped.count(st.NotAdmitted, "not_admitted")
		ch <- dropped.count(st.Late, "late")
	}
	return c
}
