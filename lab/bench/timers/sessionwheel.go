package timers

import (
	"context"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// poolSession is a session of this project's pool.
type poolSession = pool.Session[int64, *Conn]

type poolSessions struct {
	c    Config
	pool *pool.Pool[int64, *Conn]
	w    *wheel.Wheel
	h    handles[poolSession]
}

func sessionwheelImpl() Impl {
	return Impl{
		Name:   "sessionwheel",
		Module: "github.com/sessionwheel/sessionwheel",
		How:    "pool.Register, Session.Touch and Close; wheel.Timer.Reset and Stop of an embedded timer; zero Config (tick 10ms, 256 callbacks)",
		New: func(c Config) (Sessions, error) {
			w, err := wheel.New(wheel.Config{})
			if err != nil {
				return nil, err
			}
			s := &poolSessions{c: c, w: w, h: newHandles[poolSession](c)}
			cfg := pool.Config[int64, *Conn]{IdleTimeout: c.Idle, Wheel: w}
			if c.Expired != nil {
				cfg.OnSessionClosed = func(ps *poolSession, r pool.Reason) {
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

func (s *poolSessions) Register(id int64, idle time.Duration) {
	ps, err := s.pool.Register(id, sharedConn)
	if err != nil {
		panic(err) // the caller used an ID twice
	}
	if idle != s.c.Idle {
		ps.SetIdleTimeout(idle)
	}
	s.h.keep(id, ps)
}

func (s *poolSessions) Touch(id int64) { s.h[id].Touch() }

func (s *poolSessions) RegisterClose(id int64) {
	ps, err := s.pool.Register(id, sharedConn)
	if err != nil {
		panic(err) // the caller used an ID twice
	}
	ps.Close("done")
}

// NewArm uses an embedded timer, as the pool does.
func (s *poolSessions) NewArm() func() {
	t := new(wheel.Timer)
	t.Init(s.w, func() {})
	return func() {
		t.Reset(armDuration)
		t.Stop()
	}
}

// Stop closes the wheel first. Shutdown then does not wait until a million
// sessions have ended.
func (s *poolSessions) Stop() {
	s.w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.pool.Shutdown(ctx) // context.Canceled
}
