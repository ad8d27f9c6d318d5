package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// broker is the broker. One wheel holds the keep-alives, the session expiries and the delays of
// the wills.
//
// Lock order: mu, then that of a session.
type broker struct {
	tcp.Server
	flags    *flags
	sessions *pool.Pool[string, *session] // by client ID
	store    *store                       // nil: none
	peers    *peers                       // nil: none

	mu sync.RWMutex
	// Guarded by mu.
	topics   level
	retained map[string]*message // by topic
}

func newBroker(ctx context.Context, f *flags) (*broker, error) {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return nil, err
	}
	b := &broker{flags: f, retained: make(map[string]*message)}
	b.Wheel, b.Split, b.MaxFrame, b.MaxOutbound = w, framing.Split, maxPacket, maxOutbound
	b.FlushInterval = time.Millisecond // messages that follow each other closely are one write
	b.Activity = tcp.Received          // what is sent to a client says nothing about it
	b.IdleTimeout = connectTimeout
	b.OnMessage, b.Farewell = b.receive, b.farewell
	b.OnSessionClosed = func(c *tcp.Session, _ pool.Reason) {
		if s, ok := c.Value().(*session); ok {
			s.detach()
		}
	}
	config := pool.Config[string, *session]{Wheel: w, IdleTimeout: -1, OnSessionClosed: b.sessionEnded}
	if f.Cluster != "" {
		if b.peers, err = b.join(ctx); err != nil {
			return nil, err
		}
		config.Directory = b.peers.node
	}
	if b.sessions, err = pool.New(config); err == nil && b.peers != nil {
		err = b.peers.begin()
	}
	if err == nil && f.Store != "" {
		if b.store, err = openStore(f.Store, w); err == nil {
			err = b.restore()
		}
	}
	return b, err
}

// close ends the sessions. The connections have ended.
func (b *broker) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := b.sessions.Shutdown(ctx)
	b.Wheel.Close()
	if b.store != nil {
		b.store.flush()
		err = errors.Join(err, b.store.db.Close())
	}
	if b.peers != nil {
		err = errors.Join(err, b.peers.leave(ctx))
	}
	return err
}
