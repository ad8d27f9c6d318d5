package timers

import (
	"fmt"
	"time"

	"github.com/zeromicro/go-zero/core/collection"
)

type gozeroSession struct {
	id   int64
	conn *Conn
}

type gozeroSessions struct {
	c  Config
	tw *collection.TimingWheel
	t  *table[gozeroSession]
}

func gozeroImpl() Impl {
	return Impl{
		Name:   "go-zero",
		Module: "github.com/zeromicro/go-zero v1.10.3",
		How:    "collection.TimingWheel, interval 10ms, with enough slots to hold the idle timeout in one turn; on activity MoveTimer by ID; one map under a mutex",
		New: func(c Config) (Sessions, error) {
			s := &gozeroSessions{c: c, t: newTable[gozeroSession]()}
			var err error
			s.tw, err = collection.NewTimingWheel(Tick, slotsFor(c.Idle), func(_, value any) {
				if gs, ok := value.(*gozeroSession); ok && s.t.remove(gs.id, gs) {
					_ = gs.conn.Close()
					c.expired(gs.id)
				}
			})
			if err != nil {
				return nil, fmt.Errorf("timers: go-zero: %w", err)
			}
			return s, nil
		},
	}
}

func (s *gozeroSessions) Register(id int64, idle time.Duration) { s.register(id, idle) }

func (s *gozeroSessions) register(id int64, idle time.Duration) *gozeroSession {
	gs := &gozeroSession{id: id, conn: sharedConn}
	s.t.add(id, gs)
	s.must(s.tw.SetTimer(id, gs, idle))
	return gs
}

// must panics on an error: the wheel was stopped, or an argument is wrong.
func (s *gozeroSessions) must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *gozeroSessions) Touch(id int64) { s.must(s.tw.MoveTimer(id, s.c.Idle)) }

func (s *gozeroSessions) RegisterClose(id int64) {
	gs := s.register(id, s.c.Idle)
	s.must(s.tw.RemoveTimer(id))
	s.t.remove(id, gs)
	_ = gs.conn.Close()
}

func (s *gozeroSessions) NewArm() func() {
	key := new(byte) // a unique key
	return func() {
		s.must(s.tw.SetTimer(key, nil, min(armDuration, s.c.Idle)))
		s.must(s.tw.RemoveTimer(key))
	}
}

func (s *gozeroSessions) Stop() { s.tw.Stop() }
