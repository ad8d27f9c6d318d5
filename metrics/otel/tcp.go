package otelmetrics

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// Server registers the instruments of a TCP server, before it serves or while it
// does. The name is the attribute server. Server panics if srv is nil.
func Server(p metric.MeterProvider, name string, srv *tcp.Server) (metric.Registration, error) {
	if srv == nil {
		panic("otelmetrics: Server: srv is nil")
	}
	in, s := newServer(p, name, pool.Timeout, pool.Lifetime, pool.Shutdown,
		tcp.ReasonEOF, tcp.ReasonError, tcp.ReasonTooLarge, tcp.ReasonBadFrame, tcp.ReasonFrameTimeout,
		tcp.ReasonSlow, tcp.ReasonPanic, tcp.ReasonHandshake)
	bytesIn := in.counter("received.bytes", "By", "Bytes that were read from TCP sessions, without what TLS adds.")
	bytesOut := in.counter("sent.bytes", "By", "Bytes that were written to TCP sessions, without what TLS adds.")
	framesIn := in.counter("received.frames", "{frame}", "Frames that were handed to OnMessage.")
	framesOut := in.counter("sent.frames", "{frame}", "Calls of Send and Queue that had something to send.")
	acceptErrors := in.counter("accept.errors", "{error}", "Passing errors of listeners, as for want of file descriptors.")
	return in.register(func(o observer) {
		st, t := srv.Stats(), srv.Traffic()
		s.observe(o, st,
			refusal{"full", st.RefusedFull},
			refusal{"per_ip", t.RefusedPerIP},
			refusal{"closed", st.RefusedClosed})
		o.count(bytesIn, t.BytesIn)
		o.count(bytesOut, t.BytesOut)
		o.count(framesIn, t.FramesIn)
		o.count(framesOut, t.FramesOut)
		o.count(acceptErrors, t.AcceptErrors)
	})
}
