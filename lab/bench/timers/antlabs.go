package timers

import (
	"sync"
	"time"

	antlabs "github.com/antlabs/timer"
)

type antlabsSession struct {
	id     int64
	conn   *Conn
	expire func() // allocated once, and not by each Touch

	mu sync.Mutex
	// Guarded by mu.
	timer antlabs.TimeNoder
}

type antlabsSessions struct {
	c  Config
	tm antlabs.Timer
	t  *table[antlabsSession]
	h  handles[antlabsSession]
}

func antlabsImpl() Impl {
	return Impl{
		Name:   "antlabs/timer",
		Module: "github.com/antlabs/timer v0.1.4",
		How:    "its time wheel, which is its default, with a tick of 10ms; on activity Stop and AfterFunc, because its Reset is marked unstable and deadlocks within a slot; one map under a mutex",
		New: func(c Config) (Sessions, error) {
			s := &antlabsSessions{
				c: c, tm: antlabs.NewTimer(antlabs.WithTimeWheel()),
				t: newTable[antlabsSession](), h: newHandles[antlabsSession](c),
			}
			go s.tm.Run() // until Stop
			return s, nil
		},
	}
}

func (s *antlabsSessions) Register(id int64, idle time.Duration) {
	s.h.keep(id, s.register(id, idle))
}

func (s *antlabsSessions) register(id int64, idle time.Duration) *antlabsSession {
	as := &antlabsSession{id: id, conn: sharedConn}
	as.expire = func() {
		if s.t.remove(as.id, as) {
			_ = as.conn.Close()
			s.c.expired(as.id)
		}
	}
	s.t.add(id, as)
	as.mu.Lock()
	as.timer = s.tm.AfterFunc(idle, as.expire)
	as.mu.Unlock()
	return as
}

func (s *antlabsSessions) Touch(id int64) {
	as := s.h[id]
	as.mu.Lock()
	as.timer.Stop()
	as.timer = s.tm.AfterFunc(s.c.Idle, as.expire)
	as.mu.Unlock()
}

func (s *antlabsSessions) RegisterClose(id int64) {
	as := s.register(id, s.c.Idle)
	as.mu.Lock()
	as.timer.Stop()
	as.mu.Unlock()
	s.t.remove(id, as)
	_ = as.conn.Close()
}

func (s *antlabsSessions) NewArm() func() {
	f := func() {}
	return func() { s.tm.AfterFunc(armDuration, f).Stop() }
}

func (s *antlabsSessions) Stop() { s.tm.Stop() }
