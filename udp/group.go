package udp

import (
	"iter"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Group is a set of sessions, such as those in a room. It is a [pool.Group] of a
// server's sessions: a session leaves its groups by itself when it begins to close.
// A session may be in any number of groups, and a group may have sessions of several
// servers.
//
// The zero value is an empty group. A Group must not be copied after its first use.
// All its methods may be called from any goroutine and from callbacks, and hold no
// lock while they send or a loop's body runs.
type Group struct{ sessions poolGroup }

type poolGroup = pool.Group[poolID, *transport]

// Add adds a session. It reports true if the session is a member now, even if it was
// one before, and false if it is closed.
func (g *Group) Add(s *Session) bool { return g.sessions.Add(s.ps.Load()) }

// Remove removes a session. It reports whether the session was a member.
func (g *Group) Remove(s *Session) bool { return g.sessions.Remove(s.ps.Load()) }

// Len returns the number of members.
func (g *Group) Len() int { return g.sessions.Len() }

// All returns an iterator over the sessions that are members when the iteration
// begins, in no particular order. It skips those that are closed by the time their
// turn comes. Sessions added or removed during the iteration may or may not be
// included. The loop's body may change the group and close sessions.
func (g *Group) All() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		for ps := range g.sessions.All() {
			if !yield((*Session)(ps.Conn())) {
				return
			}
		}
	}
}

// Send sends p to each member as one datagram, as [Session.Send] does, and returns
// how many of these calls succeeded. It does not keep p. It blocks while the socket's
// send buffer is full.
func (g *Group) Send(p []byte) (sent int) {
	for s := range g.All() {
		if s.Send(p) == nil {
			sent++
		}
	}
	return sent
}
