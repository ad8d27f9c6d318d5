package timers

import (
	"time"

	ouqiang "github.com/ouqiang/timewheel"
)

type ouqiangSession struct {
	id   int64
	conn *Conn
}

type ouqiangSessions struct {
	c  Config
	tw *ouqiang.TimeWheel
	t  *table[ouqiangSession]
}

func ouqiangImpl() Impl {
	return Impl{
		Name:   "ouqiang/timewheel",
		Module: "github.com/ouqiang/timewheel v1.0.1",
		How:    "tick 1s, since it counts whole seconds, and 3600 slots, as in its documentation; on activity RemoveTimer and AddTimer by ID, where RemoveTimer walks the slot's list; one map under a mutex",
		New: func(c Config) (Sessions, error) {
			s := &ouqiangSessions{c: c, t: newTable[ouqiangSession]()}
			s.tw = ouqiang.New(time.Second, 3600, func(data any) {
				os := data.(*ouqiangSession)
				if s.t.remove(os.id, os) {
					_ = os.conn.Close()
					c.expired(os.id)
				}
			})
			s.tw.Start()
			return s, nil
		},
	}
}

func (s *ouqiangSessions) Register(id int64, idle time.Duration) { s.register(id, idle) }

func (s *ouqiangSessions) register(id int64, idle time.Duration) *ouqiangSession {
	os := &ouqiangSession{id: id, conn: sharedConn}
	s.t.add(id, os)
	s.tw.AddTimer(idle, id, os)
	return os
}

func (s *ouqiangSessions) Touch(id int64) {
	s.t.mu.Lock()
	os := s.t.m[id]
	s.t.mu.Unlock()
	s.tw.RemoveTimer(id)
	s.tw.AddTimer(s.c.Idle, id, os)
}

func (s *ouqiangSessions) RegisterClose(id int64) {
	os := s.register(id, s.c.Idle)
	s.tw.RemoveTimer(id)
	s.t.remove(id, os)
	_ = os.conn.Close()
}

func (s *ouqiangSessions) NewArm() func() {
	key := new(byte) // a unique key
	return func() {
		s.tw.AddTimer(armDuration, key, nil)
		s.tw.RemoveTimer(key)
	}
}

func (s *ouqiangSessions) Stop() { s.tw.Stop() }
