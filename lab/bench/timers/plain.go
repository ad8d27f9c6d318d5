package timers

import (
	"sync/atomic"
	"time"

	"github.com/RussellLuo/timingwheel"
)

// plainWheelSize is the number of slots per level.
const plainWheelSize = 512

type plainSession struct {
	id     int64
	conn   *Conn
	expire func() // allocated once, and not by each Touch
	timer  atomic.Pointer[timingwheel.Timer]
}

type plainSessions struct {
	c  Config
	tw *timingwheel.TimingWheel
	t  *table[plainSession]
	h  handles[plainSession]
}

func plainImpl() Impl {
	return Impl{
		Name:   "plain",
		Module: "github.com/RussellLuo/timingwheel v0.0.0-20220218152713-54845bda3108",
		How:    "one timer per session; on activity AfterFunc, and Stop of the old timer; tick 10ms, 512 slots per level; one map under a mutex",
		New: func(c Config) (Sessions, error) {
			s := &plainSessions{
				c: c, tw: timingwheel.NewTimingWheel(Tick, plainWheelSize),
				t: newTable[plainSession](), h: newHandles[plainSession](c),
			}
			s.tw.Start()
			return s, nil
		},
	}
}

func (s *plainSessions) Register(id int64, idle time.Duration) {
	s.h.keep(id, s.register(id, idle))
}

func (s *plainSessions) register(id int64, idle time.Duration) *plainSession {
	ps := &plainSession{id: id, conn: sharedConn}
	ps.expire = func() {
		if s.t.remove(ps.id, ps) {
			_ = ps.conn.Close()
			s.c.expired(ps.id)
		}
	}
	s.t.add(id, ps)
	ps.timer.Store(s.tw.AfterFunc(idle, ps.expire))
	return ps
}

func (s *plainSessions) Touch(id int64) {
	ps := s.h[id]
	ps.timer.Swap(s.tw.AfterFunc(s.c.Idle, ps.expire)).Stop()
}

func (s *plainSessions) RegisterClose(id int64) {
	ps := s.register(id, s.c.Idle)
	ps.timer.Load().Stop()
	s.t.remove(id, ps)
	_ = ps.conn.Close()
}

func (s *plainSessions) NewArm() func() {
	f := func() {}
	return func() { s.tw.AfterFunc(armDuration, f).Stop() }
}

func (s *plainSessions) Stop() { s.tw.Stop() }
