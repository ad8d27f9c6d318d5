package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// witness is the demo's server, which echoes lines and notes what becomes of
// each session. Its fields may be read at any time.
type witness struct {
	open, timedOut atomic.Int64
	dismissed      atomic.Bool // notes nothing any more

	mu    sync.Mutex
	ended []*sighting // guarded by mu
}

// sighting is what the server saw of one session. The session's callbacks,
// which are serial, write it; once it is in ended nobody does.
type sighting struct {
	remote string
	active time.Time // no later than the last activity; zero if no message came
	closed time.Time // when OnSessionClosed ran
	reason pool.Reason
	reply  []byte
}

// server returns a server whose callbacks report to w.
func (w *witness) server(idle time.Duration) *tcp.Server {
	return &tcp.Server{
		IdleTimeout: idle,
		OnNewSessionRegister: func(s *tcp.Session) {
			s.SetValue(&sighting{remote: s.RemoteAddr().String()})
			w.open.Add(1)
		},
		OnMessage: func(s *tcp.Session, line []byte) {
			seen := s.Value().(*sighting)
			// Taken before Send re-arms the session: a lower bound of its last
			// activity, so a close before it plus the idle timeout is early.
			now := time.Now()
			seen.reply, _ = appendLine(seen.reply[:0], line)
			if s.Send(seen.reply) == nil {
				seen.active = now
			}
		},
		OnSessionClosed: func(s *tcp.Session, reason pool.Reason) {
			seen := s.Value().(*sighting)
			seen.closed, seen.reason = time.Now(), reason
			if reason == pool.Timeout {
				w.timedOut.Add(1)
			}
			w.note(seen)
			w.open.Add(-1) // last: whoever sees none open finds all noted
		},
	}
}

// note keeps what was seen of a session, unless the witness was dismissed.
func (w *witness) note(seen *sighting) {
	if w.dismissed.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = append(w.ended, seen)
}

// byRemote gives the sessions that have ended by the address of their client.
func (w *witness) byRemote() map[string]*sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := make(map[string]*sighting, len(w.ended))
	for _, s := range w.ended {
		m[s.remote] = s
	}
	return m
}
