package pool

import (
	"context"
	"io"
	"log/slog"
	"net"
)

// logRegistered, logRefused and logClosed do nothing without a Logger.

func (s *Session[K, C]) logRegistered() {
	if l := s.shard.pool.log; l != nil && l.Enabled(context.Background(), slog.LevelDebug) {
		l.LogAttrs(context.Background(), slog.LevelDebug, "pool: session registered", s.logAttrs()...)
	}
}

func (p *Pool[K, C]) logRefused(id K, conn C, err error) {
	defer p.guard()
	if l := p.log; l != nil && l.Enabled(context.Background(), slog.LevelWarn) {
		l.LogAttrs(context.Background(), slog.LevelWarn, "pool: session refused",
			append(logAttrs(id, conn), slog.Any("error", err))...)
	}
}

func (s *Session[K, C]) logClosed(r Reason) {
	if l := s.shard.pool.log; l != nil && l.Enabled(context.Background(), slog.LevelInfo) {
		now := s.shard.pool.wheel.Time(s.shard.pool.wheel.Elapsed())
		l.LogAttrs(context.Background(), slog.LevelInfo, "pool: session closed", append(s.logAttrs(),
			slog.String("reason", string(r)),
			slog.Duration("idle", now.Sub(s.LastActive())),
			slog.Duration("age", now.Sub(s.RegisteredAt())))...)
	}
}

func (s *Session[K, C]) logAttrs() []slog.Attr { return logAttrs(s.id, s.conn) }

// logAttrs is what every line says of its session. The address is left out for
// connections that have none.
func logAttrs[K comparable, C io.Closer](id K, conn C) []slog.Attr {
	attrs := []slog.Attr{slog.Any("session", id)}
	if c, ok := any(conn).(addressed); ok {
		attrs = append(attrs, slog.Any("remote", remoteAddr{c}))
	}
	return attrs
}

type addressed interface{ RemoteAddr() net.Addr }

// remoteAddr is the address of a connection, which is formatted only for records
// that are written.
type remoteAddr struct{ conn addressed }

// LogValue is for slog.
func (r remoteAddr) LogValue() slog.Value {
	if a := r.conn.RemoteAddr(); a != nil {
		return slog.StringValue(a.String())
	}
	return slog.Value{}
}
