package serve

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// ServerConfig is the settings of a server. For durations and numbers 0 means no limit,
// but for MaxSessions, where it means 65,536.
type ServerConfig struct {
	Protocol         echo.Protocol
	MaxFrame         int // bytes of the longest message, as sent
	Idle             time.Duration
	MaxLifetime      time.Duration
	FrameTimeout     time.Duration
	WriteTimeout     time.Duration
	MaxSessions      int
	MaxSessionsPerIP int
	TLS              *tls.Config // nil: no TLS
}

// Session is what the server keeps of one session, as its Value. The session's
// callbacks, which are serial, use it; Greeted may be called from any goroutine.
type Session struct {
	// Past is set by a node of a cluster, where a session may log in: no message is
	// a login any more.
	Past bool

	frames, bytes uint64 // received, without what sets frames apart
	reply         []byte
	greeted       bool          // welcome is closed
	welcome       chan struct{} // closed by Greet
}

// Greet lets through what other nodes send to the session: its login was answered,
// or it has ended.
func (s *Session) Greet() {
	if !s.greeted {
		s.greeted = true
		close(s.welcome)
	}
}

// Greeted is closed by Greet.
func (s *Session) Greeted() <-chan struct{} { return s.welcome }

// NewServer returns a server that sends each message back and logs sessions.
func NewServer(cfg ServerConfig, log *slog.Logger) *tcp.Server {
	var open atomic.Int64
	sessions := pool.LimitLog(log)
	return &tcp.Server{
		TLSConfig:        cfg.TLS,
		Split:            cfg.Protocol.Split,
		MaxFrame:         cfg.MaxFrame,
		IdleTimeout:      orNever(cfg.Idle),
		MaxLifetime:      cfg.MaxLifetime,
		FrameTimeout:     orNever(cfg.FrameTimeout),
		WriteTimeout:     orNever(cfg.WriteTimeout),
		MaxSessions:      cfg.MaxSessions,
		MaxSessionsPerIP: cfg.MaxSessionsPerIP,
		Logger:           slog.New(faultsOnly{log.Handler()}),
		OnNewSessionRegister: func(s *tcp.Session) {
			s.SetValue(&Session{welcome: make(chan struct{})})
			sessions.Info("session opened", "session", s.ID(), "remote", s.RemoteAddr().String(), "open", open.Add(1))
		},
		OnMessage: func(s *tcp.Session, body []byte) {
			e := s.Value().(*Session)
			e.frames++
			e.bytes += uint64(len(body))
			log.Debug("message", "session", s.ID(), "bytes", len(body))
			var err error
			if e.reply, err = cfg.Protocol.Append(e.reply[:0], body); err == nil {
				err = s.Send(e.reply)
			}
			if err != nil {
				log.Debug("not sent", "session", s.ID(), "error", err)
			}
		},
		OnSessionClosed: func(s *tcp.Session, reason pool.Reason) {
			e, now := s.Value().(*Session), time.Now()
			log := sessions
			if name := s.BoundID(); name != "" {
				log = log.With("name", name)
			}
			log.Info("session closed", "session", s.ID(), "remote", s.RemoteAddr().String(), "reason", string(reason),
				"idle", now.Sub(s.LastActive()).Round(time.Millisecond), "age", now.Sub(s.RegisteredAt()).Round(time.Millisecond),
				"frames", e.frames, "bytes", e.bytes, "open", open.Add(-1))
		},
	}
}

// faultsOnly passes on what the library logs of faults, and not of sessions, which
// the server logs itself.
type faultsOnly struct{ slog.Handler }

// Enabled leaves out what is no fault.
func (h faultsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// orNever turns the 0 that means no limit here into the library's negative.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
