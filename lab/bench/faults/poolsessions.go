package faults

import (
	"context"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
	"github.com/sessionwheel/sessionwheel/pool"
)

// nopConn is a connection that does nothing.
type nopConn struct{}

func (nopConn) Close() error { return nil }

// poolSessions is a pool with OnPanic, which the one of package timers lacks.
type poolSessions struct {
	pool *pool.Pool[int64, nopConn]
	idle time.Duration
}

func newPoolSessions(cfg timers.Config, onPanic func(any, []byte)) (timers.Sessions, error) {
	p, err := pool.New(pool.Config[int64, nopConn]{
		IdleTimeout: cfg.Idle, OnPanic: onPanic,
		OnSessionClosed: func(s *pool.Session[int64, nopConn], r pool.Reason) {
			if r == pool.Timeout {
				cfg.Expired(s.ID())
			}
		},
	})
	return &poolSessions{p, cfg.Idle}, err
}

func (ps *poolSessions) Register(id int64, idle time.Duration) {
	s, err := ps.pool.Register(id, nopConn{})
	if err != nil {
		panic(err) // the caller used an ID twice
	}
	s.SetIdleTimeout(idle)
}

func (ps *poolSessions) Touch(id int64) {
	if s, ok := ps.pool.Get(id); ok {
		s.Touch()
	}
}

func (ps *poolSessions) RegisterClose(id int64) {
	ps.Register(id, ps.idle)
	ps.pool.CloseSession(id, "done")
}

func (ps *poolSessions) Stop() {
	_ = ps.pool.Shutdown(context.Background()) // fails only if its context ends
}
