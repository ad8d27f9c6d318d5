package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// claim is a login that is under way.
type claim struct {
	id       string
	meta     []byte
	activate func(token uint64)

	token uint64
	rev   uint64 // the entry's revision that the next attempt goes by
	doubt bool   // an attempt at rev got no answer, and may still be written
}

// How an attempt fails that got an answer.
var (
	errTaken  = errors.New("cluster: the ID has an entry")
	errLapsed = errors.New("cluster: the lease is over")
)

// Claim makes this node the owner of id, with up to 64 KiB of metadata that
// Lookup and List tell. A session that had the ID is closed with pool.Replaced, on
// whichever node it is, and processes nothing more when activate is called. That
// happens at most once, before Claim returns, and with the ID locked: it must not
// block, and no Claim or eviction of the same ID gets between.
//
// A pool calls it, in RegisterContext. Whoever calls it otherwise owes a Release.
//
// The error is ErrInvalid for an ID that is empty or longer than 1 KiB and for too
// much metadata, ErrIsolated if the node has no lease and may not admit alone,
// ErrLeft, and when ctx ends, which it wraps too, ErrTakeoverTimeout or
// ErrUnavailable, as the owner or the broker did not answer. Activate has not been
// called then, and if an entry was written it is deleted in the background.
func (n *Node) Claim(ctx context.Context, id string, meta []byte, activate func(token uint64)) error {
	if err := checkID(id); err != nil {
		return err
	}
	if len(meta) > maxMeta {
		return fmt.Errorf("%w: %d bytes of metadata: use up to %d", ErrInvalid, len(meta), maxMeta)
	}
	c := &claim{id: id, meta: meta, activate: activate, token: n.tokens.next(0)}
	err := n.claim(ctx, c)
	if err != nil && c.doubt {
		n.tidyUp(id, chore{doubt: true, expected: c.rev})
	}
	return err
}

func (n *Node) claim(ctx context.Context, c *claim) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		seen, err := n.attempt(ctx, c)
		if errors.Is(err, errTaken) {
			err = n.takeOver(ctx, c, seen)
			if err == nil {
				continue
			}
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errLapsed):
			return n.claimAlone(ctx, c)
		case errors.Is(err, ErrTakeoverTimeout):
			return err
		case isNoStream(err):
			poke(n.wantSweep) // which makes it anew if it is gone
		}
		if !sleep(ctx, wait) {
			if !errors.Is(err, ErrUnavailable) {
				err = fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		}
	}
}

// attempt writes the entry by one compare-and-set, and if that wins, activates
// the session, all with the ID locked. Without the lock, an eviction of this very
// claim could find no session to close, since it is not there yet, say so, and let
// another node activate its own while this one comes to be.
func (n *Node) attempt(ctx context.Context, c *claim) (standing, error) {
	unlock, err := n.locks.lock(ctx, c.id)
	if err != nil {
		return standing{}, fmt.Errorf("%w: %w", ErrTakeoverTimeout, err)
	}
	defer unlock()
	n.mu.Lock()
	epoch, state := n.standingLocked()
	if old := n.held[c.id]; old != nil && old.token >= c.token { // the directory knew of no session
		c.token = n.tokens.next(old.token)
	}
	n.mu.Unlock()
	if state != Active {
		return standing{}, errLapsed
	}

	e := entry{Owner: epoch, Node: n.c.Name, Token: c.token, Since: time.Now().UnixMilli(), Meta: c.meta}
	gen := n.generation()
	rev, err := n.dir.put(ctx, keyOf(c.id), e, c.rev, 0)
	if err != nil {
		// Refused or in doubt, it may have been written: by an attempt whose answer
		// was lost, or of which the first of two leaders took note.
		c.doubt = true
		seen, readErr := n.entry(context.WithoutCancel(ctx), c.id)
		switch {
		case readErr != nil:
			return standing{}, err
		case seen.live && seen.Owner == epoch && seen.Token == c.token:
			rev = seen.rev
		case seen.rev != c.rev: // what expects c.rev will be refused
			c.doubt = false
			return seen, errTaken
		default:
			return standing{}, err
		}
	}
	c.doubt = false
	return standing{}, n.admit(c, epoch, &held{token: c.token, since: e.Since, meta: c.meta, listed: true, rev: rev, gen: gen})
}

// admit activates the session whose entry was written. The caller has locked the ID.
func (n *Node) admit(c *claim, epoch string, h *held) error {
	n.closeOld(c.id)
	n.mu.Lock()
	// The write may have taken so long that others have taken over since, or will
	// in a moment.
	if now, state := n.standingLocked(); now != epoch || state != Active {
		n.choreLocked(c.id, chore{rev: h.rev, gen: h.gen})
		n.mu.Unlock()
		return errLapsed
	}
	h.born = n.sweeps
	n.held[c.id] = h
	n.mu.Unlock()
	c.activate(h.token)
	return nil
}

// closeOld closes the session that this node has under an ID, for one that takes
// it. The caller has locked the ID. It reports the token, and whether the session
// may have an entry.
func (n *Node) closeOld(id string) (token uint64, listed bool) {
	n.mu.Lock()
	old := n.held[id]
	delete(n.held, id)
	n.mu.Unlock()
	if old == nil {
		return 0, false
	}
	n.c.Local.Close(id, old.token, pool.Replaced)
	return old.token, old.listed
}

// claimAlone is for a node without a lease: it admits the session if it may, and
// leaves the rest to the sweep that follows when the lease is back.
func (n *Node) claimAlone(ctx context.Context, c *claim) error {
	if n.State() == Left {
		return ErrLeft
	}
	if n.c.DegradedLogin != AllowLogin {
		return ErrIsolated
	}
	unlock, err := n.locks.lock(ctx, c.id)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTakeoverTimeout, err)
	}
	defer unlock()
	token, listed := n.closeOld(c.id)
	if c.token <= token {
		c.token = n.tokens.next(token)
	}
	n.mu.Lock()
	if n.left {
		n.mu.Unlock()
		return ErrLeft
	}
	n.held[c.id] = &held{
		token: c.token, since: time.Now().UnixMilli(), meta: c.meta,
		listed: listed || c.doubt, born: n.sweeps,
	}
	n.mu.Unlock()
	c.activate(c.token)
	poke(n.wantSweep)
	return nil
}
