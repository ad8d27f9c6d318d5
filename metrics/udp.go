package metrics

import (
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// UDP makes a collector of a UDP server, before it serves or while it does. The
// name is the label server. UDP panics if srv is nil.
func UDP(name string, srv *udp.Server) *Collector {
	if srv == nil {
		panic("metrics: UDP: srv is nil")
	}
	c, s := newServer(name, pool.Timeout, pool.Lifetime, pool.Shutdown, udp.ReasonPanic)
	received := c.counter("received_datagrams_total", "Datagrams that were read from the socket.")
	handled := c.counter("handled_datagrams_total", "Datagrams that were handed to OnMessage.")
	dropped := c.counter("dropped_datagrams_total",
		"Datagrams that were dropped, by cause, beside those that were refused a session.", "cause")
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
		ch <- dropped.count(st.Late, "late")
	}
	return c
}
