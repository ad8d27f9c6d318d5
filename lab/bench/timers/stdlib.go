package timers

import "time"

type stdlibSession struct {
	id    int64
	conn  *Conn
	timer *time.Timer
}

type stdlibSessions struct {
	c Config
	t *table[stdlibSession]
	h handles[stdlibSession]
}

func stdlibImpl() Impl {
	return Impl{
		Name: "time.Timer",
		How:  "one time.AfterFunc per session; on activity Reset; one map under a mutex; arm-stop is time.AfterFunc and Stop",
		New: func(c Config) (Sessions, error) {
			return &stdlibSessions{c: c, t: newTable[stdlibSession](), h: newHandles[stdlibSession](c)}, nil
		},
	}
}

func (s *stdlibSessions) Register(id int64, idle time.Duration) {
	s.h.keep(id, s.register(id, idle))
}

func (s *stdlibSessions) register(id int64, idle time.Duration) *stdlibSession {
	ss := &stdlibSession{id: id, conn: sharedConn}
	s.t.add(id, ss)
	ss.timer = time.AfterFunc(idle, func() {
		if s.t.remove(ss.id, ss) {
			_ = ss.conn.Close()
			s.c.expired(ss.id)
		}
	})
	return ss
}

func (s *stdlibSessions) Touch(id int64) { s.h[id].timer.Reset(s.c.Idle) }

func (s *stdlibSessions) RegisterClose(id int64) {
	ss := s.register(id, s.c.Idle)
	ss.timer.Stop()
	s.t.remove(id, ss)
	_ = ss.conn.Close()
}

func (s *stdlibSessions) NewArm() func() {
	f := func() {}
	return func() { time.AfterFunc(armDuration, f).Stop() }
}

// Stop does nothing: the timers are the runtime's.
func (s *stdlibSessions) Stop() {}
