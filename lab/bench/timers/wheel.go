package timers

import (
	"context"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// wheelSession is a session of this project.
type wheelSession = pool.Session[int64, *Conn]

type wheelSessions struct {
	c    Config
	pool *pool.Pool[int64, *Conn]
	w    *wheel.Wheel
	h    handles[wheelSession]
}

func wheelImpl() Impl {
	return Impl{
		Name:   "sessionwheel",
		Module: "github.com/sessionwheel/sessionwheel",
		How:    "pool.Register, Session.Touch and Close; wheel.Timer.Reset and Stop of an embedded timer; zero Config (tick 10ms, 256 callbacks)",
		New: func(c Config) (Sessions, error) {
			w, err := wheel.New(wheel.Config{})
			if err != nil {
				return nil, err
			}
			s := &wheelSessions{c: c, w: w, h: newHandles[wheelSession](c)}
			cfg := pool.Config[int64, *Conn]{IdleTimeout: c.Idle, Wheel: w}
			if c.Expired != nil {
				cfg.OnSessionClosed = func(ps *wheelSession, r pool.Reason) {
					if r == pool.Timeout {
						c.Expired(ps.ID())
					}
				}
			}
			s.pool, err = pool.New(cfg)
			return s, err
		},
	}
}

func (s *wheelSessions) Register(id int64, idle time.Duration) {
	ps, err := s.pool.Register(id, theConn)
	if err != nil {
		panic(err) // the benchmark used an ID twice
	}
	if idle != s.c.Idle {
		ps.SetIdleTimeout(idle)
	}
	s.h.keep(id, ps)
}

func (s *wheelSessions) Touch(id int64) { s.h[id].Touch() }

func (s *wheelSessions) RegisterClose(id int64) {
	ps, err := s.pool.Register(id, theConn)
	if err != nil {
		panic(err) // the benchmark used an ID twice
	}
	ps.Close("done")
}

// NewArm uses a timer that is embedded in what it belongs to, as the pool does.
func (s *wheelSessions) NewArm() func() {
	t := new(wheel.Timer)
	t.Init(s.w, func() {})
	return func() {
		t.Reset(armFor)
		t.Stop()
	}
}

// Stop stops the wheel first, so that ending a million sessions is not waited
// for.
func (s *wheelSessions) Stop() {
	s.w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.pool.Shutdown(ctx) // it is cancelled already
}
