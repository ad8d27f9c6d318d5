package sessionwheel_test

import (
	"io"
	"sync"
	"time"

	"github.com/RussellLuo/timingwheel"
)

// timedMap is the plain way to give each session a timer: one map under one
// mutex, and the timers of the library or of the runtime as they are.
type timedMap[T interface{ Stop() bool }] struct {
	after func(time.Duration, func()) T

	mu sync.Mutex
	// Guarded by mu.
	sessions map[int64]*timedSession[T]
}

type timedSession[T interface{ Stop() bool }] struct {
	owner *timedMap[T]
	id    int64
	conn  io.Closer
	timer T // set before the session is in the map, and read after it left it
}

func newTimedMap[T interface{ Stop() bool }](after func(time.Duration, func()) T) *timedMap[T] {
	return &timedMap[T]{after: after, sessions: make(map[int64]*timedSession[T])}
}

func libraryMap() (m *timedMap[*timingwheel.Timer], stop func()) {
	tw := startLibrary()
	return newTimedMap(tw.AfterFunc), tw.Stop
}

func runtimeMap() (m *timedMap[*time.Timer], stop func()) {
	m = newTimedMap(time.AfterFunc)
	return m, func() {
		for _, s := range m.sessions {
			s.timer.Stop()
		}
	}
}

func (m *timedMap[T]) register(id int64, conn io.Closer, idle time.Duration) *timedSession[T] {
	s := &timedSession[T]{owner: m, id: id, conn: conn}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.timer = m.after(idle, s.expire)
	m.sessions[id] = s
	return s
}

func (s *timedSession[T]) remove() bool {
	m := s.owner
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[s.id] != s {
		return false
	}
	delete(m.sessions, s.id)
	return true
}

func (s *timedSession[T]) expire() {
	if s.remove() {
		_ = s.conn.Close()
	}
}

func (s *timedSession[T]) close() bool {
	if !s.remove() {
		return false
	}
	s.timer.Stop()
	_ = s.conn.Close()
	return true
}
