package cluster

import (
	"maps"
	"time"
)

// maxKept is how many bytes of states a node keeps at most. What is handed over beyond that
// while nobody waits for it is lost.
const maxKept = 64 << 20

// kept is what a session of this node handed over that has ended. The login that takes it over
// may have given up, or not get the reply, so the session's entry stays for it, or for another
// login, to be written over. After a lease, a cleanup deletes it.
type kept struct {
	token uint64
	rev   uint64 // the entry's revision
	state []byte
	until time.Time
}

// leaveEntryLocked leaves the entry of a session that has ended to a cleanup, at once or when its
// state need not be kept any more.
func (n *Node) leaveEntryLocked(id string, s *ownSession) {
	if !n.keepLocked(id, s.token, s.rev, s.gen, s.state) {
		n.addCleanupLocked(id, cleanup{rev: s.rev, gen: s.gen})
	}
}

// keep keeps what the session that a request names has handed over. It reports false if that is
// nothing, or if there is no room for it.
func (n *Node) keep(q request, gen uint64, state []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k := n.cleanups[q.id].kept; k != nil && k.token == q.Token {
		k.rev = q.Rev
		return true
	}
	return len(state) > 0 && n.keepLocked(q.id, q.Token, q.Rev, gen, state)
}

// keepLocked is keep for any session that has ended. What was kept under the ID is dropped.
func (n *Node) keepLocked(id string, token, rev, gen uint64, state []byte) bool {
	n.dropKeptLocked(id)
	_, now := n.epochAndStateLocked() // without a lease, another node may have the ID
	if size := len(state); size == 0 || size > maxKept-n.keptBytes || now != Active {
		return false
	}
	n.keptBytes += len(state)
	n.addCleanupLocked(id, cleanup{rev: rev, gen: gen, kept: &kept{token, rev, state, time.Now().Add(n.c.LeaseTTL)}})
	time.AfterFunc(n.c.LeaseTTL, func() { notify(n.cleanupNow) })
	return true
}

// keptOf returns what is kept of the session with the given ID and token, if anything.
func (n *Node) keptOf(id string, token uint64) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k := n.cleanups[id].kept; k != nil && k.token == token {
		return k.state
	}
	return nil
}

// dueCleanups returns the cleanups that are to be run. During Leave, those are all.
func (n *Node) dueCleanups() map[string]cleanup {
	n.mu.Lock()
	defer n.mu.Unlock()
	due := maps.Clone(n.cleanups)
	for id, cl := range due {
		switch {
		case cl.kept == nil:
		case n.closing || !time.Now().Before(cl.kept.until):
			n.dropKeptLocked(id)
		default:
			delete(due, id)
		}
	}
	return due
}

// dropKeptLocked drops what is kept under an ID and returns it, or nil. The cleanup is due then.
func (n *Node) dropKeptLocked(id string) *kept {
	cl := n.cleanups[id]
	k := cl.kept
	if k != nil {
		cl.kept = nil
		n.cleanups[id] = cl
		n.keptBytes -= len(k.state)
		notify(n.cleanupNow)
	}
	return k
}

// dropAllKeptLocked drops what is kept, since other nodes may have had sessions of the IDs.
func (n *Node) dropAllKeptLocked() {
	for id := range n.cleanups {
		n.dropKeptLocked(id)
	}
}
