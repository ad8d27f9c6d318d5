package timers

import (
	"sync"
	"sync/atomic"
	"time"
)

// sweepEvery is how often the sweep walks.
const sweepEvery = time.Second

type sweepSession struct {
	id     int64
	conn   *Conn
	active atomic.Int64 // since sweepSessions.start
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
		Name: "sweep",
		How:  "a timestamp stored at activity; each second a walk over the map under its mutex, the idle ones closed after it is released",
		Not:  map[string]string{ArmStop: "a sweep has no timers"},
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

// sweep is the goroutine that walks. It ends with Stop, which waits for it.
func (s *sweepSessions) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, ss := range s.idle() {
				_ = ss.conn.Close()
				s.c.expired(ss.id)
			}
		case <-s.quit:
			return
		}
	}
}

// idle removes the sessions that were idle for too long.
func (s *sweepSessions) idle() (idle []*sweepSession) {
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

// register dates the activity so that the session is idle for too long when
// idle has passed.
func (s *sweepSessions) register(id int64, idle time.Duration) *sweepSession {
	ss := &sweepSession{id: id, conn: theConn}
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
