package tcp

import (
	"iter"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Group is a set of sessions that are posted to together, such as those in a room. A session
// leaves its groups by itself when it is closed. A session may be in any number of groups,
// and a group may have sessions of several servers.
//
// The zero value is an empty group. A Group must not be copied after its first use. All its
// methods may be called from any goroutine and from callbacks, even while another goroutine
// or the loop over All changes the group or closes its members. None of them waits for a
// callback or a peer.
type Group struct {
	members pool.Group[int64, *transport]
}

// Add adds a session. It reports true if the session is a member now, even if it was one
// before, and false if it is closed.
func (g *Group) Add(s *Session) bool { return g.members.Add(s.ps) }

// Remove removes a session. It reports whether the session was a member.
func (g *Group) Remove(s *Session) bool { return g.members.Remove(s.ps) }

// Len returns the number of members.
func (g *Group) Len() int { return g.members.Len() }

// All iterates over the sessions that are members when the iteration begins, in no particular
// order. It skips those that are closed by the time their turn comes. Sessions added or removed
// during the iteration may or may not be included. No lock is held while the loop's body runs.
func (g *Group) All() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		for ps := range g.members.All() {
			if !yield((*Session)(ps.Conn())) {
				return
			}
		}
	}
}

// Post posts p to each member, as Session.Post does, and returns how many have taken it. The
// members that cannot write it at once share one copy of p; if p has less than 256 bytes, or
// with a Server.FlushInterval less than 4 KiB, it is copied for each. p may be reused when Post
// returns. A member on which too much waits is closed, or does not get p, as its server's
// Overflow says; the others are not affected.
func (g *Group) Post(p []byte) (posted int) {
	var b broadcast
	defer b.end()
	for ps := range g.members.All() {
		if (*Session)(ps.Conn()).post(p, &b) == nil {
			posted++
		}
	}
	return posted
}
