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
	file         string // for the store; "": none
	nats, name   string // the address of the cluster's brokers, and the name of this node; "": no cluster
}

// broker is the broker. One wheel holds the keep-alives, the session expiries and the delays of
// the wills.
//
// Lock order: mu, then that of a session.
type broker struct {
	tcp.Server
	options
	sessions *pool.Pool[string, *session] // by client ID
	store    *store                       // nil: none
	peers    *peers                       // nil: none

	mu sync.RWMutex
	// Guarded by mu.
	topics   level
	retained map[string]*message // by topic
}

func newBroker(ctx context.Context, o options) (*broker, error) {
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
	config := pool.Config[string, *session]{Wheel: w, IdleTimeout: -1, OnSessionClosed: b.sessionEnded}
	if o.nats != "" {
		if b.peers, err = b.join(ctx, o.nats, o.name); err != nil {
			return nil, err
		}
		config.Directory = b.peers.node
	}
	if b.sessions, err = pool.New(config); err == nil && b.peers != nil {
		err = b.peers.begin(o.name)
	}
	if err == nil && o.file != "" {
		if b.store, err = openStore(o.file, w); err == nil {
			err = b.restore()
		}
	}
	return b, err
}

// shutdown ends the connections, then the sessions.
func (b *broker) shutdown(ctx context.Context) error {
	err := b.Shutdown(ctx)
	b.Wheel.Close() // no session expires any more, and the store is written for the last time
	for _, e := range b.sessions.All() {
		if will := e.Conn().takeWill(nil); will != nil { // it is not stored
			b.publish(will)
		}
	}
	if b.store != nil {
		b.store.flush()
		err = errors.Join(err, b.store.db.Close())
	}
	err = errors.Join(err, b.sessions.Shutdown(ctx))
	if b.peers != nil {
		err = errors.Join(err, b.peers.leave(ctx))
	}
	return err
}
