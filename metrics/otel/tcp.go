package otelmetrics

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// Server registers the instruments of a TCP server, which need not serve yet. Their
// measurements have the attribute server with the given name. The error is the
// provider's. Server panics if srv is nil.
func Server(p metric.MeterProvider, name string, srv *tcp.Server) (metric.Registration, error) {
	if srv == nil {
		panic("otelmetrics: Server: srv is nil")
	}
	in, s := newServer(p, name, pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown, pool.Closed,
		tcp.ReasonEOF, tcp.ReasonError, tcp.ReasonTooLarge, tcp.ReasonBadFrame, tcp.ReasonFrameTimeout,
		tcp.ReasonSlow, tcp.ReasonPanic, tcp.ReasonOverload, tcp.ReasonHandshake)
	parked := in.level("parked.sessions", "{session}", "Sessions that wait without a goroutine.")
	bytesIn := in.counter("received.bytes", "By", "Bytes read from TCP sessions, without the overhead of TLS.")
	bytesOut := in.counter("sent.bytes", "By", "Bytes written to TCP sessions, without the overhead of TLS.")
	framesIn := in.counter("received.frames", "{frame}", "Frames passed to OnMessage.")
	framesOut := in.counter("sent.frames", "{frame}", "Successful calls of Send and Post with something to send.")
	outbound := in.level("outbound.bytes", "By", "Bytes of Post that wait to be sent.")
	dropped := in.counter("dropped.frames", "{frame}", "Calls of Post that were dropped because too much waited.")
	slow := in.counter("slow.sessions", "{session}", "Sessions that were closed because their peer did not read, or too slowly.")
	acceptErrors := in.counter("accept.errors", "{error}", "Temporary errors of Accept, for example for lack of file descriptors.")
	probes := in.counter("probes", "{probe}", "Connections whose peer closed or reset them before its first byte, as a health check does.")
	return in.register(func(o observer) {
		st, t := srv.Stats(), srv.Traffic()
		s.observe(o, st,
			refusal{"full", st.RefusedFull},
			refusal{"per_ip", t.RefusedPerIP},
			refusal{"closed", st.RefusedClosed})
		o.count(parked, uint64(st.Parked))
		o.count(bytesIn, t.BytesIn)
		o.count(bytesOut, t.BytesOut)
		o.count(framesIn, t.FramesIn)
		o.count(framesOut, t.FramesOut)
		o.count(outbound, uint64(t.Outbound))
		o.count(dropped, t.Dropped)
		o.count(slow, t.Slow)
		o.count(acceptErrors, t.AcceptErrors)
		o.count(probes, t.Probes)
	})
}
