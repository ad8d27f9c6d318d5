package main

import (
	"context"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// session is what the broker keeps of a client, under its ID. It outlives the connection: while
// the client is connected, the entry in the pool does not time out; afterwards it does so after
// the session expiry.
type session struct {
	id     string
	broker *broker
	subs   map[string]subscription // by filter; guarded by broker.mu

	mu sync.Mutex
	// Guarded by mu.
	entry    *pool.Session[string, *session]
	client   *client       // nil: not connected
	ended    bool          // the entry is closed
	expiry   time.Duration // after the connection; negative: never
	left     time.Time     // when the client left; zero: it is connected
	will     *message      // of a client that has left, until its delay is over
	delay    *wheel.Timer
	inflight []delivery // sent and not acknowledged, in order
	queue    []delivery // not sent yet
	lastID   uint16
	received map[uint16]bool // the client's messages with QoS 2 that it has not released
	posting  bool            // somebody is in postLocked
	out      []byte          // for whoever that is
}

// open returns the session of a client ID, and reports whether it was there before. The caller
// is the only one that opens the session of this ID.
func (b *broker) open(ctx context.Context, id string, clean bool) (s *session, present bool, err error) {
	if e, ok := b.sessions.Get(id); ok {
		if !clean && e.Renew(-1) { // it does not expire while the client is connected
			return e.Conn(), true, nil
		}
		e.Close("Clean") // or it has just expired
		<-e.Done()
	}
	var r record
	if b.peers != nil && !clean {
		r, present = b.peers.fetch(ctx, id)
	}
	if s, err = b.create(ctx, id); err == nil && present {
		s.restore(r)
	}
	return s, present, err
}

func (b *broker) create(ctx context.Context, id string) (*session, error) {
	s := &session{id: id, broker: b}
	e, err := b.sessions.RegisterContext(ctx, id, s, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entry = e
	return s, err
}

// attach connects a client, which is sent the CONNACK and then what it has not acknowledged. It
// reports false if the session has ended.
func (s *session) attach(c *client, expiry time.Duration, connack []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.takeWillLocked()
	s.client, s.expiry, s.left, s.out = c, expiry, time.Time{}, nil
	s.postLocked(s.pumpLocked(s.resendLocked(connack)))
	return true
}

// detach is called when the connection of the session's client has ended. Then the session has
// the session expiry left, and the will its delay, unless the session ends before.
func (s *session) detach(c *client, reason pool.Reason) {
	delay := c.willDelay
	s.mu.Lock()
	if s.client != c {
		s.mu.Unlock()
		return
	}
	expiry, entry := s.expiry, s.entry
	s.client, s.out, s.left, s.will = nil, nil, time.Now(), c.will
	if c.will != nil && delay > 0 {
		s.delay = s.broker.Wheel.AfterFunc(delay, func() { s.publishWill(c.will) })
	}
	s.mu.Unlock()
	if delay == 0 || reason == pool.Shutdown {
		s.publishWill(c.will)
	}
	if expiry == 0 {
		entry.Close("Ended")
	} else if entry.Renew(expiry) { // otherwise it is closed
		s.save()
	}
}

// publishWill publishes the will of a client that has left, unless that was done or the client
// is back.
func (s *session) publishWill(will *message) {
	if will != nil && s.takeWill(will) == will {
		s.broker.publish(will)
	}
}

// takeWill takes the will of a client that has left if it is the given one, or any if that is nil.
func (s *session) takeWill(only *message) (will *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if only == nil || only == s.will {
		will = s.takeWillLocked()
	}
	return will
}

// takeWillLocked takes the will and ends its delay, which may be as long as 136 years.
func (s *session) takeWillLocked() (will *message) {
	if s.delay != nil {
		s.delay.Stop()
	}
	will, s.will, s.delay = s.will, nil, nil
	return will
}

func (s *session) connected() *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// disconnect closes the connection of the client, if there is one, and waits for its last
// callback.
func (s *session) disconnect(r pool.Reason) {
	if c := s.connected(); c != nil {
		c.Close(r)
		<-c.Done()
	}
}

// Close disconnects the client of a session that has ended. The pool calls it.
func (s *session) Close() error {
	s.mu.Lock()
	s.ended = true
	entry := s.entry
	s.mu.Unlock()
	if entry != nil { // otherwise nobody is attached
		s.disconnect(entry.Reason())
	}
	return nil
}

// sessionEnded is called after Close. The will of a session that has ended waits no longer.
func (b *broker) sessionEnded(e *pool.Session[string, *session], reason pool.Reason) {
	s := e.Conn()
	b.mu.Lock()
	for filter := range s.subs {
		b.topics.unsubscribe(s, filter)
	}
	b.mu.Unlock()
	if will := s.takeWill(nil); will != nil {
		b.publish(will)
	}
	if reason != pool.Shutdown {
		s.save() // which deletes it
	}
}
