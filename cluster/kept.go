package cluster

import (
	"maps"
	"time"
)

// maxKept is how many bytes of states a node keeps at most. What is handed over beyond that
// while nobody waits for it is lost.
const maxKept = 64 << 20

// kept is what a session handed over that has ended while nobody waited for it: the login that
// takes it over has given up, or is about to ask again. The session's entry stays for a lease, so
// that the next login asks this node for the state.
type kept struct {
	token uint64
	state []byte
	until time.Time
}

// leaveEntryLocked leaves the entry of a session that has ended to a cleanup, at once or when its
// state need not be kept any more.
func (n *Node) leaveEntryLocked(id string, s *ownSession) {
	cl := cleanup{rev: s.rev, gen: s.gen}
	n.dropKeptLocked(id)
	if size := len(s.state); size > 0 && size <= maxKept-n.keptBytes {
		cl.kept = &kept{s.token, s.state, time.Now().Add(n.c.LeaseTTL)}
		n.keptBytes += size
		time.AfterFunc(n.c.LeaseTTL, func() { notify(n.cleanupNow) })
	}
	n.addCleanupLocked(id, cl)
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

// takeKept returns what is kept of the session with the given ID and token. The caller, who has
// locked the ID, deletes the entry.
func (n *Node) takeKept(id string, token uint64) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k := n.cleanups[id].kept; k == nil || k.token != token {
		return nil
	}
	return n.dropKeptLocked(id).state
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
