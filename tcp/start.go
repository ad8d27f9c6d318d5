package tcp

import (
	"bufio"
	"cmp"
	"fmt"
	"math"
	"net/netip"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// sessions is the pool that a server keeps its sessions in.
type sessions = pool.Pool[int64, *transport]

// start makes the server ready to serve, if it is not. The error names the
// field that is wrong.
func (srv *Server) start() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing.Load() {
		return ErrServerClosed
	}
	if srv.sessions.Load() != nil {
		return nil
	}
	if err := srv.setDefaults(); err != nil {
		return err
	}
	timers := srv.Wheel
	if timers == nil {
		var err error
		if timers, err = wheel.New(wheel.Config{OnPanic: srv.logPanic}); err != nil {
			return fmt.Errorf("tcp: %w", err)
		}
	}
	config := pool.Config[int64, *transport]{
		IdleTimeout: cmp.Or(srv.IdleTimeout, defaultIdleTimeout),
		MaxLifetime: max(0, srv.MaxLifetime),
		Wheel:       timers,
		OnPanic:     srv.logPanic,
	}
	if srv.OnIdle != nil {
		config.IdleWarning = srv.IdleWarning
		config.OnIdle = func(ps *pool.Session[int64, *transport]) { (*Session)(ps.Conn()).idle() }
	}
	p, err := pool.New(config)
	if err != nil {
		if timers != srv.Wheel {
			timers.Close()
		}
		return fmt.Errorf("tcp: %w", err)
	}
	srv.wheel = timers
	srv.stopped = make(chan struct{})
	srv.drained = make(chan struct{})
	srv.listeners = make(map[*onceListener]struct{})
	srv.perIP = make(map[netip.Addr]int)
	srv.countedIP = make(map[*Session]netip.Addr)
	srv.lingering = make(map[*Session]*lingering)
	srv.sessions.Store(p)
	return nil
}

// setDefaults fills what start sets, and names the first field that is wrong.
func (srv *Server) setDefaults() error {
	switch {
	case srv.MaxFrame < 0:
		return errNegative("MaxFrame", srv.MaxFrame, defaultMaxFrame)
	case srv.MaxOutbound < 0:
		return errNegative("MaxOutbound", srv.MaxOutbound, defaultMaxOutbound)
	case srv.MaxPendingBytes < 0:
		return errNegative("MaxPendingBytes", srv.MaxPendingBytes, defaultMaxPendingBytes)
	case srv.Overflow > DropNewest:
		return fmt.Errorf("tcp: Server.Overflow is %d: use tcp.CloseSlow or tcp.DropNewest", srv.Overflow)
	case srv.Activity > Sent:
		return fmt.Errorf("tcp: Server.Activity is %d: use tcp.ReceivedOrSent, tcp.Received or tcp.Sent", srv.Activity)
	}
	srv.logger = pool.LimitLog(srv.Logger)
	srv.split = srv.Split
	if srv.split == nil {
		srv.split = bufio.ScanLines
	}
	srv.maxFrame = cmp.Or(srv.MaxFrame, defaultMaxFrame)
	srv.frameTimeout = max(0, cmp.Or(srv.FrameTimeout, defaultFrameTimeout))
	srv.writeTimeout = max(0, cmp.Or(srv.WriteTimeout, defaultWriteTimeout))
	srv.handshakeTimeout = max(0, cmp.Or(srv.HandshakeTimeout, defaultHandshakeTimeout))
	srv.lingerTimeout = max(0, cmp.Or(srv.LingerTimeout, defaultLingerTimeout))
	srv.flushInterval = max(0, srv.FlushInterval)
	srv.flusher.after = cmp.Or(srv.flushInterval, defaultFlushAfter)
	srv.maxOutbound = cmp.Or(srv.MaxOutbound, defaultMaxOutbound)
	srv.maxPendingBytes = int64(cmp.Or(srv.MaxPendingBytes, defaultMaxPendingBytes))
	srv.maxHandshakes = int64(limit(srv.MaxHandshakes, defaultMaxHandshakes))
	srv.maxSessions = limit(srv.MaxSessions, defaultMaxSessions)
	if srv.TLSConfig != nil {
		srv.tlsConfig = withMinVersion(srv.TLSConfig)
	}
	return nil
}

func errNegative(field string, n, byDefault int) error {
	return fmt.Errorf("tcp: Server.%s is %d: use a positive number, or 0 for %d", field, n, byDefault)
}

// limit returns n if it is positive, byDefault if it is 0, and math.MaxInt, which means no
// limit, if it is negative.
func limit(n, byDefault int) int {
	if n < 0 {
		return math.MaxInt
	}
	return cmp.Or(n, byDefault)
}
