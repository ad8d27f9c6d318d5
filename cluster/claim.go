package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// claim is a login in progress.
type claim struct {
	// Immutable.
	id       string
	meta     []byte
	activate func(token uint64)
	began    int64 // unix microseconds
	start    time.Time
	cancel   context.CancelCauseFunc // ends its waiting; not a write that is under way

	met     bool   // it has read an entry of the ID, or that there is none
	known   uint64 // entries up to this revision were written before the claim began
	token   uint64
	rev     uint64 // the entry's revision that the next write expects; 0: there must be none
	gen     uint64 // the generation of rev
	asked   bool   // another node was asked to evict its session
	evicted bool   // rev is that of the marker which that has left, or of the entry
	inDoubt bool   // a write at rev got no answer, and may still be executed
	state   []byte // what the session has handed over whose entry the next write overwrites
}

// Claim makes this node the owner of id, and stores up to 64 KiB of metadata that
// Lookup and List return. A pool calls it in RegisterContext. Other callers must call
// Release when the session has ended.
//
// If another session has the ID, on any node, it is closed with pool.Replaced, and
// processes nothing more when activate is called. Claim calls activate at most once,
// before it returns, on the caller's goroutine and with the ID locked: no other Claim
// or eviction of the ID happens at the same time, and activate must not block.
//
// The error is ErrInvalid if the ID is empty or longer than 1 KiB or the metadata is
// too long, ErrFull if the directory has no room for the entry, ErrIsolated if the node
// has no lease and Config.DegradedLogin is RefuseLogin, ErrLeft after Leave, and
// ErrSuperseded if a claim of the ID that began later has taken its place. Otherwise
// Claim retries until ctx ends. The error then wraps that of ctx and also
// ErrTakeoverTimeout, if the previous owner did not give up the ID, or ErrUnavailable,
// if the broker did not answer. If Claim
// returns an error, activate was not called, and an entry that was written is deleted
// in the background.
func (n *Node) Claim(ctx context.Context, id string, meta []byte, activate func(token uint64)) error {
	if err := checkID(id); err != nil {
		return err
	}
	if len(meta) > maxMeta {
		return fmt.Errorf("%w: %d bytes of metadata: use up to %d", ErrInvalid, len(meta), maxMeta)
	}
	c := &claim{id: id, meta: meta, activate: activate}
	turn, end, err := n.beginClaim(ctx, c)
	if err != nil {
		return err
	}
	defer end()
	err = n.claim(ctx, turn, c)
	if err == nil {
		return nil
	}
	if c.inDoubt {
		n.addCleanup(id, cleanup{inDoubt: true, expectedRev: c.rev})
	}
	if cause := context.Cause(turn); errors.Is(cause, ErrSuperseded) || errors.Is(cause, ErrLeft) {
		return cause
	}
	return err
}

// claim carries out a login. It waits for nothing when turn has ended, and turn ends
// with ctx, in Leave, or when a later claim of the ID begins on this node. All of it runs
// on the goroutine of Claim:
//
//  1. tryClaim locks the ID and writes the entry by one compare-and-set that expects
//     c.rev. If the write fails, it reads the entry to find out why.
//  2. If the write won, admit closes this node's previous session of the ID,
//     registers the new one and calls activate. The lock is then released.
//  3. If the ID has another entry (errTaken), takeOver makes that entry free to be
//     overwritten, without the lock: by freeEntry, which asks the owner to evict its
//     session, or by the owner's death. It sets c.rev; then step 1 follows.
//  4. If the node has no lease (errNoLease), claimIsolated admits the session without
//     an entry, or refuses it.
//  5. If there is no room for the entry, dropMarker makes some where step 3 has had
//     another session evicted; step 1 follows. Otherwise the claim fails.
//  6. If the broker does not answer, step 1 follows after a pause.
//
// A claim fails when turn ends, in step 3 if the entry is that of a later claim, or in
// step 4. A write that may still be executed is then left to a cleanup.
func (n *Node) claim(ctx, turn context.Context, c *claim) error {
	var pause backoff
	for {
		seen, err := n.tryClaim(ctx, turn, c)
		if errors.Is(err, errTaken) {
			err = n.takeOver(turn, c, seen)
			if err == nil {
				continue
			}
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrFull) && c.evicted:
			if n.dropMarker(turn, c) != nil {
				return err
			}
			continue
		case errors.Is(err, errNoLease):
			return n.claimIsolated(turn, c)
		case errors.Is(err, ErrTakeoverTimeout), errors.Is(err, ErrSuperseded), errors.Is(err, ErrFull):
			return err
		case isNoStream(err):
			notify(n.reconcileNow) // creates the stream if it does not exist
		}
		if !pause.wait(turn) {
			if !errors.Is(err, ErrUnavailable) {
				err = fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			return fmt.Errorf("%w (%w)", err, turn.Err())
		}
	}
}

// tryClaim writes the entry by one compare-and-set and, if that wins, activates the
// session. If the ID has another entry it returns that entry and errTaken.
//
// The ID is locked throughout. Otherwise an eviction of the new entry could find no
// session to close, because it is not activated yet, and another node could activate
// its session at the same time.
func (n *Node) tryClaim(ctx, turn context.Context, c *claim) (dirEntry, error) {
	unlock, err := n.locks.lock(turn, c.id)
	if err != nil {
		return dirEntry{}, fmt.Errorf("%w: %w", ErrTakeoverTimeout, err)
	}
	defer unlock()
	if turn.Err() != nil { // the lock may have come at the same time
		return dirEntry{}, fmt.Errorf("%w: %w", ErrTakeoverTimeout, turn.Err())
	}
	epoch, s, seen, err := n.writeEntry(ctx, turn, c)
	if err != nil {
		return seen, err
	}
	return dirEntry{}, n.admit(turn, c, epoch, s)
}

// writeEntry writes the entry of a claim, once the request may pass the gate. It returns the
// session that the entry is of, and the epoch that owns it. If the ID has another entry, it
// returns that and errTaken. The caller has locked the ID.
//
// When turn ends, a write that is under way is waited for, until ctx ends: its outcome
// would be in doubt otherwise.
func (n *Node) writeEntry(ctx, turn context.Context, c *claim) (epoch string, s *ownSession, seen dirEntry, err error) {
	if err := n.front.enter(turn); err != nil {
		return "", nil, dirEntry{}, err
	}
	defer n.front.leave()
	n.mu.Lock()
	epoch, state := n.epochAndStateLocked()
	if old := n.sessions[c.id]; old != nil && old.token >= c.token { // it may have no entry
		c.token = n.tokens.next(old.token)
	}
	n.mu.Unlock()
	if state != Active {
		return "", nil, dirEntry{}, errNoLease
	}
	gen := n.generation()
	if c.rev != 0 && c.gen != gen {
		seen, err := n.readEntryNow(ctx, c.id)
		switch {
		case err != nil:
			return "", nil, dirEntry{}, err
		case seen.rev != c.rev:
			c.inDoubt = false
			return "", nil, seen, errTaken
		}
		c.gen, gen = seen.gen, seen.gen
	}

	e := entry{Owner: epoch, Node: n.c.Name, Token: c.token, Since: time.Now().UnixMilli(), Began: c.began, Meta: c.meta}
	rev, err := n.putEntryNow(ctx, c.id, e, c.rev, c.gen)
	if errors.Is(err, ErrFull) {
		return "", nil, dirEntry{}, err
	}
	if err != nil {
		// The entry may have been written all the same: the answer may be lost, and on
		// several replicas a refusal is ambiguous (see isConflict).
		c.inDoubt = true
		seen, readErr := n.readEntryNow(context.WithoutCancel(ctx), c.id)
		c.meets(seen, readErr)
		switch {
		case readErr != nil:
			return "", nil, dirEntry{}, err
		case seen.live && seen.Owner == epoch && seen.Token == c.token:
			rev = seen.rev
		case seen.rev != c.rev: // the write expects c.rev and will be refused
			c.inDoubt = false
			return "", nil, seen, errTaken
		default:
			return "", nil, dirEntry{}, err
		}
	}
	c.inDoubt = false
	n.dir.of(c.id).knows(rev)
	return epoch, &ownSession{
		token: c.token, since: e.Since, began: c.began, meta: c.meta,
		mayHaveEntry: true, rev: rev, gen: gen,
	}, dirEntry{}, nil
}

// admit activates a session whose entry was written. The caller has locked the ID. If
// the node has lost its lease since, admit returns errNoLease and leaves the entry to
// a cleanup. If the node's previous session of the ID does not end before turn does, the
// entry is given back to that.
func (n *Node) admit(turn context.Context, c *claim, epoch string, s *ownSession) error {
	if _, _, err := n.closePrevious(turn, c); err != nil {
		n.giveBack(c.id, s.rev)
		return fmt.Errorf("%w: %w", ErrTakeoverTimeout, err)
	}
	n.mu.Lock()
	// After a slow write, another node may have taken the ID, or may do so at any
	// moment.
	if now, state := n.epochAndStateLocked(); now != epoch || state != Active {
		n.addCleanupLocked(c.id, cleanup{rev: s.rev, gen: s.gen})
		n.mu.Unlock()
		return errNoLease
	}
	s.bornPass = n.passes
	n.sessions[c.id] = s
	if k := n.dropKeptLocked(c.id); k != nil && k.rev == c.rev {
		c.state = k.state
	}
	n.mu.Unlock()
	received(turn, c.state)
	c.activate(s.token)
	return nil
}

// giveBack writes the entry of the session that the node still has, over that of a login
// which was given up. The caller has locked the ID.
func (n *Node) giveBack(id string, rev uint64) {
	n.mu.Lock()
	s := n.sessions[id]
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(n.ctx, n.c.attempt())
	defer cancel()
	if s == nil || n.rewriteEntry(ctx, id, s) != nil {
		n.addCleanup(id, cleanup{inDoubt: true, expectedRev: rev})
	}
}

// closePrevious closes this node's session of a claim's ID with pool.Replaced, if there is
// one, and sets c.state to what it hands over. It returns the session's token and whether it may
// have an entry, or the error of ctx if the session has not ended before. The caller has locked
// the ID.
func (n *Node) closePrevious(ctx context.Context, c *claim) (token uint64, mayHaveEntry bool, err error) {
	n.mu.Lock()
	old := n.sessions[c.id]
	if old == nil {
		n.mu.Unlock()
		return 0, false, nil
	}
	token, mayHaveEntry = old.token, old.mayHaveEntry
	n.mu.Unlock()
	_, err = n.closeSession(ctx, c.id, token, pool.Replaced, &c.state)
	return token, mayHaveEntry, err
}

// claimIsolated handles a login while the node has no lease. If DegradedLogin allows
// it, the session is activated without an entry, and the next reconciliation, once the
// lease is back, writes one or closes the session.
func (n *Node) claimIsolated(ctx context.Context, c *claim) error {
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
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrTakeoverTimeout, ctx.Err())
	}
	token, mayHaveEntry, err := n.closePrevious(ctx, c)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTakeoverTimeout, err)
	}
	if c.token <= token {
		c.token = n.tokens.next(token)
	}
	n.mu.Lock()
	if n.closing {
		n.mu.Unlock()
		return ErrLeft
	}
	n.sessions[c.id] = &ownSession{
		token: c.token, since: time.Now().UnixMilli(), began: c.began, meta: c.meta,
		mayHaveEntry: mayHaveEntry || c.inDoubt, bornPass: n.passes,
	}
	n.mu.Unlock()
	received(ctx, c.state)
	c.activate(c.token)
	notify(n.reconcileNow)
	return nil
}
