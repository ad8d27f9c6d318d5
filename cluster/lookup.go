package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Entry is the entry of a session in the directory.
//
// Token can serve as a fencing token. A session passes it on with each of its writes to a
// store that all nodes share, and the store refuses a write whose token is lower than the
// highest it has seen for the ID. Then a session that was replaced without knowing it yet,
// because its node was cut off or stopped, can change nothing.
type Entry struct {
	ID    string
	Node  string    // the name of the node that has the session
	Owner string    // the incarnation of that node
	Token uint64    // identifies the login among all that the ID ever has
	Since time.Time // when the session logged in, by its node's clock, in milliseconds
	Meta  []byte    // the metadata of the login
}

// Lookup returns the entry of a session. The error is ErrNotFound if there is none or
// its node is dead, and wraps ErrUnavailable if the broker does not answer.
//
// Lookup asks the broker. While a majority of the brokers is down, the answer may be
// older than the last change. In any case the session may have ended since.
func (n *Node) Lookup(ctx context.Context, id string) (Entry, error) {
	s, err := n.findEntry(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	return s.export(id), nil
}

func (n *Node) findEntry(ctx context.Context, id string) (dirEntry, error) {
	return n.reader.findEntry(ctx, id, n.isDead)
}

// Kick closes a session for the given reason, on whichever node it is, and returns
// when the session processes nothing more and its entry is deleted. The error is
// ErrNotFound if there is no session, or if another login takes the ID at that moment;
// that session is not closed. It wraps ErrUnavailable if the broker or the session's
// node does not answer within a lease or until ctx ends; the session may be closed all
// the same.
func (n *Node) Kick(ctx context.Context, id string, why pool.Reason) error {
	s, err := n.findEntry(ctx, id)
	if err != nil {
		return err
	}
	return n.kickFound(ctx, s.Owner, kickRequest(id, s, why))
}

// KickEntry closes the session of an entry, as Kick does. The error is ErrNotFound if
// that login has ended, even if another one has the ID since.
func (n *Node) KickEntry(ctx context.Context, e Entry, why pool.Reason) error {
	s, err := n.findEntry(ctx, e.ID)
	if err != nil {
		return err
	}
	if s.Token < e.Token {
		return ErrNotFound
	}
	// A later entry may be that of a login that was given up: then e's session is still there.
	q := kickRequest(e.ID, s, why)
	q.Token, q.Exact = e.Token, true
	return n.kickFound(ctx, s.Owner, q)
}

// kickFound closes a session whose entry was just read.
func (n *Node) kickFound(ctx context.Context, owner string, q request) error {
	if n.isOwnEpoch(owner) {
		ctx, cancel := context.WithTimeout(ctx, n.c.LeaseTTL)
		defer cancel()
		return asRemoteError(n.kick(ctx, q))
	}
	return n.callOwner(ctx, owner, opKick, q)
}

// kick closes a session of this node.
func (n *Node) kick(ctx context.Context, q request) error {
	if err := n.find(&q); err != nil {
		return err
	}
	_, err := n.evict(ctx, q, nil)
	// The session is closed. Its entry was written again since the requester has read it, or
	// the broker does not answer.
	for pause := (backoff{}); isConflict(err) || errors.Is(err, ErrUnavailable); {
		if !pause.wait(ctx) {
			return err // a cleanup deletes it
		}
		err = n.cleanUpEntry(ctx, q.id, cleanup{})
	}
	return err
}

// Send delivers a message to a session, on whichever node it is, and returns when
// Local.Deliver has returned there. Messages that are sent one after the other are
// delivered in that order. The error is ErrNotFound if there is no session, or if
// another login takes the ID at that moment; that session does not get the message. It
// wraps ErrInvalid if the message is longer than the broker allows, and ErrUnavailable
// if the broker or the session's node does not answer within a lease or until ctx
// ends; the message may be delivered all the same.
func (n *Node) Send(ctx context.Context, id string, msg []byte) error {
	if err := n.checkMessage(msg); err != nil {
		return err
	}
	s, err := n.findEntry(ctx, id)
	if err != nil {
		return err
	}
	q := sendRequest(id, s, msg)
	if n.isOwnEpoch(s.Owner) {
		ctx, cancel := context.WithTimeout(ctx, n.c.LeaseTTL)
		defer cancel()
		return asRemoteError(n.deliverHere(ctx, q))
	}
	return n.callOwner(ctx, s.Owner, opSend, q)
}

// deliverHere delivers a message to a session of this node and waits until ctx ends, as for
// one of another node.
func (n *Node) deliverHere(ctx context.Context, q request) error {
	q.Data = bytes.Clone(q.Data) // the caller of Send may reuse it when ctx has ended
	delivered := make(chan error, 1)
	if !n.goBackground(func() { delivered <- n.deliver(ctx, q) }) { // ends when Local.Deliver returns
		return ErrLeft
	}
	select {
	case err := <-delivered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver delivers a message to a session of this node.
func (n *Node) deliver(ctx context.Context, q request) error {
	if err := n.find(&q); err != nil {
		return err
	}
	// Deliver compares the token again, since the session may be replaced in between.
	ok, err := n.c.Local.Deliver(ctx, q.id, q.Token, q.Data)
	if err == nil && !ok {
		return errStale
	}
	return err
}

// find returns errStale if this node does not have the session that a request is for. If the
// entry that the requester has read is that of a login which was given up, the request is for
// the session that the node has kept: find sets its token.
func (n *Node) find(q *request) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[q.id]
	switch {
	case s == nil:
		// A broker that has lost its last writes has the entry again.
		n.addCleanupLocked(q.id, cleanup{})
		return errStale
	case s.token == q.Token:
		return nil
	case s.token > q.Token || q.Exact || n.claims[q.id] != nil:
		return errStale
	}
	q.Token = s.token
	return nil
}

// has reports whether this node has a session with the given ID and token.
func (n *Node) has(id string, token uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sessions[id]
	return s != nil && s.token == token
}

// asRemoteError returns the error that askOwner would return if another node had
// failed with err.
func asRemoteError(err error) error {
	switch {
	case errors.Is(err, errStale):
		return ErrNotFound
	case err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrLeft):
		return fmt.Errorf("%w: session's owner: %w", ErrUnavailable, err)
	}
	return err
}
