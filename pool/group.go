package pool

import (
	"io"
	"iter"
	"slices"
	"sync"
)

// Group is a set of sessions, such as those in a room or those that follow a topic. A session
// leaves its groups by itself when it is closed, before its connection is closed. A session
// may be in any number of groups, and a group may have sessions of several pools. A session's
// first membership takes about 160 bytes and each further one about 60, until it leaves.
//
// The zero value is an empty group. A Group must not be copied after its first use. All its
// methods may be called from any goroutine and from callbacks. They never wait for a callback
// or a connection.
type Group[K comparable, C io.Closer] struct {
	mu sync.Mutex
	// Guarded by mu.
	members []*Session[K, C]
	at      map[*Session[K, C]]int // where each lies in members
	shared  bool                   // an iteration may still read members: nothing in it is changed
	peak    int                    // how many at was made for, or has grown to
}

// Add adds a session. It reports true if the session is a member now, even if it was one
// before, and false if it is closed.
func (g *Group[K, C]) Add(s *Session[K, C]) bool {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if !s.open() {
		return false
	}
	if g.add(s) {
		s.changeLocked(func(d *detail) { d.groups = append(d.groups, g) })
	}
	return true
}

// Remove removes a session. It reports whether the session was a member.
func (g *Group[K, C]) Remove(s *Session[K, C]) bool {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if !g.remove(s) {
		return false
	}
	s.changeLocked(func(d *detail) {
		i := slices.Index(d.groups, group(g))
		d.groups = slices.Delete(d.groups, i, i+1)
		switch n := len(d.groups); {
		case n == 0:
			d.groups = nil
		case n <= cap(d.groups)/4:
			d.groups = slices.Clone(d.groups)
		}
	})
	if s.detail.Load().empty() {
		s.detail.Store(nil)
	}
	return true
}

// Len returns the number of members.
func (g *Group[K, C]) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.members)
}

// All returns an iterator over the sessions that are members when the iteration begins, in no
// particular order. It skips those that are closed by the time their turn comes. Sessions
// added or removed during the iteration may or may not be included. No lock is held while the
// loop body runs, so it may change the group and close sessions.
func (g *Group[K, C]) All() iter.Seq[*Session[K, C]] {
	return func(yield func(*Session[K, C]) bool) {
		for _, s := range g.share() {
			if s.open() && !yield(s) {
				return
			}
		}
	}
}

// share returns the members as they are now. The slice is left as it is from now on.
func (g *Group[K, C]) share() []*Session[K, C] {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shared = true
	return g.members
}

// add reports whether s is new. It is called with the lock of the session's shard held, like
// remove, so that a session and its groups agree.
func (g *Group[K, C]) add(s *Session[K, C]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.at[s]; ok {
		return false
	}
	if g.at == nil {
		g.at = make(map[*Session[K, C]]int)
	}
	g.at[s] = len(g.members)
	g.members = append(g.members, s) // behind all that an iteration reads
	g.peak = max(g.peak, len(g.members))
	return true
}

func (g *Group[K, C]) remove(s *Session[K, C]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, ok := g.at[s]
	if !ok {
		return false
	}
	if g.shared {
		g.members, g.shared = slices.Clone(g.members), false
	}
	end := len(g.members) - 1
	last := g.members[end]
	g.members[i], g.at[last] = last, i
	g.members[end] = nil
	g.members = g.members[:end]
	delete(g.at, s)
	g.shrink()
	return true
}

// shrink gives memory back when three quarters of the members have gone: a map keeps what it
// has grown to.
func (g *Group[K, C]) shrink() {
	const small = 16
	n := len(g.members)
	switch {
	case n == 0:
		g.members, g.at, g.peak = nil, nil, 0
	case g.peak > small && n <= g.peak/4:
		g.members, g.peak = slices.Clone(g.members), n
		g.at = make(map[*Session[K, C]]int, n)
		for i, s := range g.members {
			g.at[s] = i
		}
	}
}

// group is a Group of any type, as a session's detail has it.
type group interface{ drop(session any) }

func (g *Group[K, C]) drop(session any) { g.remove(session.(*Session[K, C])) }

// leaveGroupsLocked takes a closed session out of its groups.
func (s *Session[K, C]) leaveGroupsLocked() {
	d := s.detail.Load()
	if d == nil {
		return
	}
	for _, g := range d.groups {
		g.drop(s)
	}
}
