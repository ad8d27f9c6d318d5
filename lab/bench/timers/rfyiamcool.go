package timers

import (
	"fmt"
	"sync"
	"time"

	rfyiamcool "github.com/rfyiamcool/go-timewheel"
)

type rfyiamcoolSession struct {
	id     int64
	conn   *Conn
	expire func() // allocated once, and not by each Touch

	mu sync.Mutex
	// Guarded by mu.
	task *rfyiamcool.Task
}

type rfyiamcoolSessions struct {
	c  Config
	tw *rfyiamcool.TimeWheel
	t  *table[rfyiamcoolSession]
	h  handles[rfyiamcoolSession]
}

func rfyiamcoolImpl() Impl {
	return Impl{
		Name:   "go-timewheel",
		Module: "github.com/rfyiamcool/go-timewheel v1.1.0",
		How:    "tick 10ms, with enough buckets to hold the idle timeout in one turn; on activity Remove and Add, which are cheaper than its Timer.Reset; one map under a mutex",
		New: func(c Config) (Sessions, error) {
			tw, err := rfyiamcool.NewTimeWheel(Tick, slotsFor(c.Idle))
			if err != nil {
				return nil, fmt.Errorf("timers: go-timewheel: %w", err)
			}
			tw.Start()
			return &rfyiamcoolSessions{c: c, tw: tw, t: newTable[rfyiamcoolSession](), h: newHandles[rfyiamcoolSession](c)}, nil
		},
	}
}

func (s *rfyiamcoolSessions) Register(id int64, idle time.Duration) {
	s.h.keep(id, s.register(id, idle))
}

func (s *rfyiamcoolSessions) register(id int64, idle time.Duration) *rfyiamcoolSession {
	rs := &rfyiamcoolSession{id: id, conn: sharedConn}
	rs.expire = func() {
		if s.t.remove(rs.id, rs) {
			_ = rs.conn.Close()
			s.c.expired(rs.id)
		}
	}
	s.t.add(id, rs)
	rs.mu.Lock()
	rs.task = s.tw.Add(idle, rs.expire)
	rs.mu.Unlock()
	return rs
}

func (s *rfyiamcoolSessions) Touch(id int64) {
	rs := s.h[id]
	rs.mu.Lock()
	_ = s.tw.Remove(rs.task) // always nil
	rs.task = s.tw.Add(s.c.Idle, rs.expire)
	rs.mu.Unlock()
}

func (s *rfyiamcoolSessions) RegisterClose(id int64) {
	rs := s.register(id, s.c.Idle)
	rs.mu.Lock()
	_ = s.tw.Remove(rs.task) // always nil
	rs.mu.Unlock()
	s.t.remove(id, rs)
	_ = rs.conn.Close()
}

func (s *rfyiamcoolSessions) NewArm() func() {
	f := func() {}
	return func() { _ = s.tw.Remove(s.tw.Add(armDuration, f)) }
}

func (s *rfyiamcoolSessions) Stop() { s.tw.Stop() }
