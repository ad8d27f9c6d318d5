package demo

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// recorder is the demo's server, which echoes lines and records what happens to
// each session. Its atomic fields may be read at any time.
type recorder struct {
	open, timedOut atomic.Int64
	stopped        atomic.Bool // records nothing any more

	mu    sync.Mutex
	ended []*sessionRecord // guarded by mu
}

// sessionRecord is what the server saw of one session. The session's callbacks,
// which are serial, write it; it does not change once it is in ended.
type sessionRecord struct {
	remote string
	active time.Time // no later than the last activity; zero if no message came
	closed time.Time // when OnSessionClosed ran
	reason pool.Reason
	reply  []byte
}

// server returns a server whose callbacks report to r.
func (r *recorder) server(idle time.Duration) *tcp.Server {
	return &tcp.Server{
		IdleTimeout: idle,
		OnNewSessionRegister: func(s *tcp.Session) {
			s.SetValue(&sessionRecord{remote: s.RemoteAddr().String()})
			r.open.Add(1)
		},
		OnMessage: func(s *tcp.Session, line []byte) {
			seen := s.Value().(*sessionRecord)
			// Taken before Send re-arms the session: a lower bound of its last
			// activity, so a close before it plus the idle timeout is early.
			now := time.Now()
			seen.reply, _ = echo.Lines.Append(seen.reply[:0], line)
			if s.Send(seen.reply) == nil {
				seen.active = now
			}
		},
		OnSessionClosed: func(s *tcp.Session, reason pool.Reason) {
			seen := s.Value().(*sessionRecord)
			seen.closed, seen.reason = time.Now(), reason
			if reason == pool.Timeout {
				r.timedOut.Add(1)
			}
			r.note(seen)
			r.open.Add(-1) // last: when none is open, all are in ended
		},
	}
}

// note keeps a session's record, unless the recorder was stopped.
func (r *recorder) note(seen *sessionRecord) {
	if r.stopped.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, seen)
}

// byRemote returns the sessions that have ended by the address of their client.
func (r *recorder) byRemote() map[string]*sessionRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := make(map[string]*sessionRecord, len(r.ended))
	for _, s := range r.ended {
		m[s.remote] = s
	}
	return m
}
