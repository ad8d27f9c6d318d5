package timers

import (
	"sync"
	"sync/atomic"
	"time"
)

// sweepInterval is the time between two sweeps.
const sweepInterval = time.Second

type sweepSession struct {
	id     int64
	conn   *Conn
	active atomic.Int64 // the last activity, since sweepSessions.start
}

type sweepSessions struct {
	c     Config
	start time.Time
	t     *table[sweepSession]
	h     handles[sweepSession]

	quit chan struct{}
	done sync.WaitGroup
}

func sweepImpl() Impl {
	return Impl{
		Name:        "sweep",
		How:         "on activity a timestamp; each second a walk over the map under its mutex, and the idle sessions are closed after the walk",
		Unsupported: map[string]string{ArmStop: "a sweep has no timers"},
		New: func(c Config) (Sessions, error) {
			s := &sweepSessions{
				c: c, start: time.Now(), t: newTable[sweepSession](), h: newHandles[sweepSession](c),
				quit: make(chan struct{}),
			}
			s.done.Go(s.sweep)
			return s, nil
		},
	}
}

// sweep closes idle sessions until Stop, which waits for it.
func (s *sweepSessions) sweep() {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, ss := range s.removeIdle() {
				_ = ss.conn.Close()
				s.c.expired(ss.id)
			}
		case <-s.quit:
			return
		}
	}
}

// removeIdle removes the sessions that have been idle for too long, and returns
// them.
func (s *sweepSessions) removeIdle() (idle []*sweepSession) {
	before := int64(time.Since(s.start) - s.c.Idle)
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	for id, ss := range s.t.m {
		if ss.active.Load() <= before {
			delete(s.t.m, id)
			idle = append(idle, ss)
		}
	}
	return idle
}

func (s *sweepSessions) Register(id int64, idle time.Duration) {
	s.h.keep(id, s.register(id, idle))
}

// register sets the last activity so that the session times out after idle.
func (s *sweepSessions) register(id int64, idle time.Duration) *sweepSession {
	ss := &sweepSession{id: id, conn: sharedConn}
	ss.active.Store(int64(time.Since(s.start) + idle - s.c.Idle))
	s.t.add(id, ss)
	return ss
}

func (s *sweepSessions) Touch(id int64) { s.h[id].active.Store(int64(time.Since(s.start))) }

func (s *sweepSessions) RegisterClose(id int64) {
	ss := s.register(id, s.c.Idle)
	s.t.remove(id, ss)
	_ = ss.conn.Close()
}

func (s *sweepSessions) Stop() {
	close(s.quit)
	s.done.Wait()
}
