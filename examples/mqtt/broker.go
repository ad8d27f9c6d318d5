package main

import (
	"context"
	"errors"
	"sync"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// options are the broker's settings.
type options struct {
	maxKeepAlive int    // in seconds, for clients of version 5; 0: any
	deny         string // a filter to which nobody may subscribe; "": none
}

// broker is the broker. One wheel holds the keep-alives, the session expiries and the delays of
// the wills.
//
// Lock order: mu, then that of a session.
type broker struct {
	tcp.Server
	options
	sessions *pool.Pool[string, *session] // by client ID

	mu sync.RWMutex
	// Guarded by mu.
	topics   level
	retained map[string]*message // by topic
}

func newBroker(o options) (*broker, error) {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return nil, err
	}
	b := &broker{options: o, retained: make(map[string]*message)}
	b.Wheel, b.Split, b.MaxFrame, b.MaxOutbound = w, split, maxPacket+maxRun, maxOutbound
	b.Activity = tcp.Received // what is sent to a client says nothing about it
	b.IdleTimeout = connectTimeout
	b.OnNewSessionRegister = func(s *tcp.Session) { s.SetValue(&client{Session: s, broker: b}) }
	b.OnMessage, b.Farewell = b.receive, b.farewell
	b.OnSessionClosed = func(s *tcp.Session, r pool.Reason) {
		if c := s.Value().(*client); c.session != nil {
			c.session.detach(c, r)
		}
	}
	b.Label = (*tcp.Session).BoundID
	b.sessions, err = pool.New(pool.Config[string, *session]{Wheel: w, IdleTimeout: -1, OnSessionClosed: b.sessionEnded})
	return b, err
}

// shutdown ends the connections, then the sessions.
func (b *broker) shutdown(ctx context.Context) error {
	defer b.Wheel.Close()
	return errors.Join(b.Shutdown(ctx), b.sessions.Shutdown(ctx))
}
func (b *broker) save(*session)   {}
func (b *broker) forget(*session) {}
