package main

import (
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	maxInflight = 256       // messages on their way to one client, unless it asks for fewer
	maxQueued   = 1000      // further messages with QoS 1 and 2 for one session; the newest are dropped
	maxUnread   = 256 << 10 // bytes that a client has not read, beyond which messages with QoS 0 are dropped
	maxOutbound = 4 << 20   // and beyond which it is closed; what QoS 1 and 2 allow is far less
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
	posting  bool            // somebody is in post
	out      []byte          // for whoever that is
}

func (s *session) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client != nil
}

// attach connects a client, which is sent the CONNACK and then what it has not acknowledged. It
// reports false if the session has ended.
func (s *session) attach(c *client, expiry time.Duration, connack []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	if s.delay != nil {
		s.delay.Stop()
	}
	s.client, s.expiry, s.left, s.will, s.out = c, expiry, time.Time{}, nil, nil
	s.postLocked(s.pumpLocked(s.resendLocked(connack)))
	return true
}

// detach is called when the connection of the session's client has ended. Then the session has
// the session expiry left, and the will its delay.
func (s *session) detach(c *client, reason pool.Reason) {
	s.mu.Lock()
	if s.client != c {
		s.mu.Unlock()
		return
	}
	s.client, s.out, s.left, s.will = nil, nil, time.Now(), c.will
	expiry, entry, delay := s.expiry, s.entry, c.willDelay
	switch {
	case reason == pool.Shutdown:
		delay = 0
	case expiry >= 0:
		delay = min(delay, expiry)
	}
	if c.will != nil && delay > 0 {
		s.delay = s.broker.Wheel.AfterFunc(delay, func() { s.publishWill(c.will) })
	}
	s.mu.Unlock()
	if delay == 0 {
		s.publishWill(c.will)
	}
	if expiry == 0 {
		entry.Close("Ended")
	} else if entry.Renew(expiry) { // otherwise it is closed
		s.save()
	}
}

// publishWill publishes a will of a client that has left, unless that was done or the client is
// back.
func (s *session) publishWill(will *message) {
	if will != nil && s.dropWill(will) {
		s.broker.publish(will)
	}
}

func (s *session) dropWill(will *message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.will == will
	if due {
		s.will = nil
	}
	return due
}

func (s *session) pendingWill() *message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.will
}

// disconnect closes the connection of the client, if there is one, and waits for its last callback.
func (s *session) disconnect(r pool.Reason) {
	s.mu.Lock()
	c := s.client
	s.mu.Unlock()
	if c != nil {
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
	s.publishWill(s.pendingWill())
	if reason != pool.Shutdown {
		s.save() // which removes it
	}
}
