package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// ended is why a session is closed that does not outlive its connection.
const ended pool.Reason = "Ended"

// entry is a session's place in the pool.
type entry = pool.Session[string, *session]

// session is what the broker keeps of a client, under its ID. It outlives the connection: while
// the client is connected, the entry in the pool does not time out; afterwards it does so after
// the session expiry.
type session struct {
	id     string
	broker *broker

	mu sync.Mutex
	// Guarded by mu. Only the callbacks of the connection change the link, Received and Expiry;
	// they may read them without mu.
	link
	state
	entry *entry
	due   *message     // the will of a client that has left; nil: none
	delay *wheel.Timer // publishes it; nil: none
}

// state is what the store keeps of a session, and another node gets.
type state struct {
	Subs     map[string]subscription // by filter
	Queue    []delivery              // messages with QoS 1 and 2 that are not acknowledged, in order
	Received map[uint16]bool         // the client's messages with QoS 2 that it has not released
	Left     int64                   // when the client left, as a Unix time in milliseconds; 0: it is connected, or new
	Expiry   uint32                  // in seconds after that; math.MaxUint32: never, which is 136 years
	LastID   uint16
}

// put sets an entry of a map, and makes the map if it is nil: most sessions leave most of theirs empty.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[key] = value
}

// MarshalJSON returns the session's state, or null if it has ended or does not outlive its
// connection.
func (s *session) MarshalJSON() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Expiry == 0 || s.entry != nil && s.entry.Reason() != "" && s.entry.Reason() != pool.Shutdown {
		return []byte("null"), nil
	}
	return json.Marshal(s.state)
}

// save has the session written soon.
func (s *session) save() { s.broker.store.mark(sessionsBucket, s.id, s) }

// open returns the session of a client ID. A client that has it is disconnected.
func (b *broker) open(ctx context.Context, id string, clean bool) (*entry, error) {
	if e, ok := b.sessions.Get(id); ok {
		e.Conn().disconnect()
		if !clean && e.Reason() == "" {
			return e, nil
		}
		e.Close("Clean") // or it has just expired
		<-e.Done()
	}
	s := &session{id: id, broker: b}
	if !clean {
		ctx = cluster.WithHandover(ctx, func(data []byte) { _ = json.Unmarshal(data, &s.state) })
	}
	return b.create(ctx, s)
}

// create makes an entry for a session, which may have subscriptions already.
func (b *broker) create(ctx context.Context, s *session) (*entry, error) {
	e, err := b.sessions.RegisterContext(ctx, s.id, s, nil)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entry = e
	for filter, sub := range s.Subs {
		b.topics.set(filter, s, &sub)
	}
	return e, nil
}

// attach connects a client, which is sent the CONNACK and then what it has not acknowledged. It
// reports false if the session has another client or has ended. It does not expire while the
// client is connected.
func (s *session) attach(e *entry, l link, ack *packet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil || !e.Renew(0) {
		return false
	}
	ack.SessionPresent = s.Left > 0
	l.conn.SetValue(s)
	s.entry, s.link, s.Expiry, s.Left = e, l, l.expiry, 0
	_ = s.reply(packets.Connack, ack)
	s.pumpLocked()
	return true
}

// detach is the OnSessionClosed of package tcp. The session has the session expiry left, and the
// will its delay, unless the session ends before.
func (b *broker) detach(c *tcp.Session, _ pool.Reason) {
	s, ok := c.Value().(*session)
	if !ok {
		return
	}
	s.mu.Lock()
	s.Left = time.Now().UnixMilli()
	if later := s.will; later != nil && later.Props.WillDelayInterval > 0 {
		delay := time.Duration(later.Props.WillDelayInterval) * time.Second
		s.will, s.due, s.delay = nil, later, b.Wheel.AfterFunc(delay, func() { b.publish(later) })
	}
	e, expiry, now := s.entry, time.Duration(s.Expiry)*time.Second, s.will
	s.mu.Unlock()
	b.publish(now)
	if expiry > 0 && e.Renew(expiry) {
		s.save()
	} else {
		e.Close(ended) // or it was closed before
	}
	s.mu.Lock()
	s.link = link{} // another connection may follow
	s.mu.Unlock()
}

// takeWill ends the delay of the will of a client that has left, which may be as long as 136
// years. It returns the will, or nil if there is none or it was published.
func (s *session) takeWill() (will *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delay != nil && s.delay.Stop() {
		will = s.due
	}
	s.due, s.delay = nil, nil
	return will
}

// connectedLocked reports whether the client is connected. The connection stays with the session
// until its last callback.
func (s *session) connectedLocked() bool { return s.conn != nil && s.conn.Reason() == "" }

func (s *session) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connectedLocked()
}

// disconnect closes the connection, if there is one, because the session is taken over, and waits
// for its last callback.
func (s *session) disconnect() {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c != nil {
		c.Close(pool.Replaced)
		<-c.Done()
	}
}

// Close is called by the pool, and then sessionEnded.
func (s *session) Close() error { return nil }

// sessionEnded is the OnSessionClosed of the pool. If there is a connection, another node takes
// the session over. The will of a session that has ended waits no longer.
func (b *broker) sessionEnded(e *entry, reason pool.Reason) {
	s := e.Conn()
	if reason != ended { // by the last callback of the connection
		s.disconnect()
	}
	if reason != pool.Shutdown { // then it is stored
		for filter := range s.Subs {
			s.setSubscription(filter, nil)
		}
		s.save() // which deletes it
	}
	b.publish(s.takeWill())
}
