package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Entry is a session as the directory has it.
type Entry struct {
	ID    string
	Node  string    // the name of the node that has it
	Owner string    // that node's incarnation
	Token uint64    // names the login: no other one has had it under this ID
	Since time.Time // when it logged in, by its node's clock
	Meta  []byte    // what it logged in with
}

// Lookup finds a session. The error is ErrNotFound, also if its node has died, or
// ErrUnavailable.
//
// It asks the broker, whose answer may be older than the last change while the
// brokers cannot agree: it says where a session was, and not that it still is.
func (n *Node) Lookup(ctx context.Context, id string) (Entry, error) {
	s, err := n.find(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	return s.export(id), nil
}

func (n *Node) find(ctx context.Context, id string) (standing, error) {
	return n.reader.find(ctx, id, n.isDead)
}

// Kick closes a session for the given reason, on whichever node it is, and returns
// when it processes nothing more. The error is ErrNotFound if there is none, or if
// another login has taken its ID at that moment, which is left alone; and
// ErrUnavailable if the broker or the session's node did not answer within a lease
// or until ctx ended.
func (n *Node) Kick(ctx context.Context, id string, why pool.Reason) error {
	s, err := n.find(ctx, id)
	if err != nil {
		return err
	}
	q := kicking(id, s, why)
	if n.isMine(s.Owner) {
		ctx, cancel := context.WithTimeout(ctx, n.c.LeaseTTL)
		defer cancel()
		return own(n.kick(ctx, q))
	}
	return n.tell(ctx, s.Owner, opKick, q)
}

// kick closes a session of this node's.
func (n *Node) kick(ctx context.Context, q request) error {
	if !n.has(q.id, q.Token) {
		return errStale
	}
	_, err := n.evict(ctx, q)
	if isConflict(err) || errors.Is(err, ErrUnavailable) {
		return nil // the session is closed; its entry goes in the background
	}
	return err
}

// Send hands a message to a session, on whichever node it is, and returns when
// Local.Deliver has returned there. Messages that are sent one after the other
// arrive in that order. The error is ErrNotFound if there is none, or if another
// login has taken its ID at that moment, which does not get the message; ErrInvalid
// for a message that is more than the broker takes; and ErrUnavailable if the
// broker or the session's node did not answer within a lease or until ctx ended:
// then the message may have arrived.
func (n *Node) Send(ctx context.Context, id string, msg []byte) error {
	if err := n.checkMessage(msg); err != nil {
		return err
	}
	s, err := n.find(ctx, id)
	if err != nil {
		return err
	}
	q := sending(id, s, msg)
	if n.isMine(s.Owner) {
		return own(n.deliver(q))
	}
	return n.tell(ctx, s.Owner, opSend, q)
}

// deliver hands a message to a session of this node's.
func (n *Node) deliver(q request) error {
	// The pool compares the token again: the session may be replaced meanwhile.
	if !n.has(q.id, q.Token) || !n.c.Local.Deliver(q.id, q.Token, q.Data) {
		return errStale
	}
	return nil
}

// has reports whether this node has a session with the given ID and token.
func (n *Node) has(id string, token uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.held[id]
	return h != nil && h.token == token
}

// own is what a question to this node itself comes to, as ask says it of another.
func own(err error) error {
	switch {
	case errors.Is(err, errStale):
		return ErrNotFound
	case err != nil && !errors.Is(err, ErrUnavailable):
		return fmt.Errorf("%w from the session's owner but: %w", ErrUnavailable, err)
	}
	return err
}
