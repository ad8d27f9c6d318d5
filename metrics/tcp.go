package metrics

import (
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// Server returns a collector for a TCP server, which need not serve yet. Its metrics
// have the label server with the given name. Server panics if srv is nil.
func Server(name string, srv *tcp.Server) *Collector {
	if srv == nil {
		panic("metrics: Server: srv is nil")
	}
	c, s := newServer(name, pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown, pool.Closed,
		tcp.ReasonEOF, tcp.ReasonError, tcp.ReasonTooLarge, tcp.ReasonBadFrame, tcp.ReasonFrameTimeout,
		tcp.ReasonSlow, tcp.ReasonPanic, tcp.ReasonOverload, tcp.ReasonHandshake)
	parked := c.gauge("parked_sessions", "Sessions that wait without a goroutine.")
	bytesIn := c.counter("received_bytes_total", "Bytes read from TCP sessions, without the overhead of TLS.")
	bytesOut := c.counter("sent_bytes_total", "Bytes written to TCP sessions, without the overhead of TLS.")
	framesIn := c.counter("received_frames_total", "Frames passed to OnMessage.")
	framesOut := c.counter("sent_frames_total", "Successful calls of Send and Post with something to send.")
	outbound := c.gauge("outbound_bytes", "Bytes of Post that wait to be sent.")
	dropped := c.counter("dropped_frames_total", "Calls of Post that were dropped because too much waited.")
	slow := c.counter("slow_sessions_total", "Sessions that were closed because their peer did not read, or too slowly.")
	acceptErrors := c.counter("accept_errors_total", "Temporary errors of Accept, for example for lack of file descriptors.")
	probes := c.counter("probes_total", "Connections whose peer closed or reset them before its first byte, as a health check does.")
	c.collect = func(ch send) {
		st, t := srv.Stats(), srv.Traffic()
		s.collect(ch, st,
			refusal{"full", st.RefusedFull},
			refusal{"per_ip", t.RefusedPerIP},
			refusal{"closed", st.RefusedClosed})
		ch <- parked.metric(float64(st.Parked))
		ch <- bytesIn.count(t.BytesIn)
		ch <- bytesOut.count(t.BytesOut)
		ch <- framesIn.count(t.FramesIn)
		ch <- framesOut.count(t.FramesOut)
		ch <- outbound.metric(float64(t.Outbound))
		ch <- dropped.count(t.Dropped)
		ch <- slow.count(t.Slow)
		ch <- acceptErrors.count(t.AcceptErrors)
		ch <- probes.count(t.Probes)
	}
	return c
}
