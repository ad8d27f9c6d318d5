package dashboard

import (
	"iter"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/udp"
)

// Source provides the sessions of a dashboard. Use [Server], [UDP] or [Pool] to
// make one. [New] refuses the zero Source, which has no sessions.
type Source struct {
	sessions source // nil: none
}

// source gives access to the sessions of a server or a pool. Its methods are
// called from any goroutine.
type source interface {
	stats() sourceStats
	all() iter.Seq[session]
	recentlyClosed() []closedSession

	// lookup returns the session with the given ID, as id formats it; nil if there
	// is none. If certain is false, there may be one nevertheless, which only a
	// search through all sessions finds.
	lookup(name string) (s session, certain bool)

	id(session) string
	address(session) string
	label(session) string // "" if it has none
}

// session is what the dashboard needs of an open session.
type session interface {
	RegisteredAt() time.Time
	LastActive() time.Time
	Deadline() (time.Time, bool)
	Close(pool.Reason) bool
}

// sourceStats are the counters of a source.
type sourceStats struct {
	pool.Stats
	refusedPerIP uint64
	traffic      *tcp.Traffic // nil: not counted
}

// closedSession is a closed session, its ID formatted.
type closedSession = pool.ClosedSession[string]

// Server returns a Source of a TCP server's sessions. The server need not serve
// yet.
func Server(srv *tcp.Server) Source {
	if srv == nil {
		return Source{}
	}
	return Source{tcpSource{srv}}
}

type tcpSource struct{ srv *tcp.Server }

func (t tcpSource) stats() sourceStats {
	traffic := t.srv.Traffic()
	return sourceStats{t.srv.Stats(), traffic.RefusedPerIP, &traffic}
}

func (t tcpSource) all() iter.Seq[session] { return sessions(t.srv.Sessions()) }

func (t tcpSource) recentlyClosed() []closedSession {
	return formatIDs(t.srv.RecentlyClosed(), formatTCPID)
}

func (t tcpSource) lookup(name string) (session, bool) {
	id, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return nil, true
	}
	s, ok := t.srv.Session(id)
	if !ok || t.id(s) != name {
		return nil, true
	}
	return s, true
}

func (t tcpSource) id(s session) string { return formatTCPID(s.(*tcp.Session).ID()) }

func formatTCPID(id int64) string { return strconv.FormatInt(id, 10) }

func (t tcpSource) address(s session) string { return addressOf(s.(*tcp.Session)) }

func (t tcpSource) label(s session) string { return s.(*tcp.Session).Label() }

// UDP returns a Source of a UDP server's sessions. The server need not serve yet.
// The ID of a session is its address. A UDP server does not count its traffic, so
// the page shows none.
func UDP(srv *udp.Server) Source {
	if srv == nil {
		return Source{}
	}
	return Source{udpSource{srv}}
}

type udpSource struct{ srv *udp.Server }

func (u udpSource) stats() sourceStats {
	st := u.srv.Stats()
	return sourceStats{Stats: st.Stats, refusedPerIP: st.RefusedPerIP}
}

func (u udpSource) all() iter.Seq[session] { return sessions(u.srv.Sessions()) }

func (u udpSource) recentlyClosed() []closedSession {
	return formatIDs(u.srv.RecentlyClosed(), netip.AddrPort.String)
}

func (u udpSource) lookup(name string) (session, bool) {
	addr, err := netip.ParseAddrPort(name)
	if err != nil {
		return nil, true
	}
	s, ok := u.srv.Session(addr)
	if !ok || u.id(s) != name {
		return nil, true
	}
	return s, true
}

func (u udpSource) id(s session) string { return s.(*udp.Session).RemoteAddr().String() }

func (u udpSource) address(s session) string { return u.id(s) }

func (u udpSource) label(s session) string { return s.(*udp.Session).Label() }

func sessions[S session](all iter.Seq[S]) iter.Seq[session] {
	return func(yield func(session) bool) {
		for s := range all {
			if !yield(s) {
				return
			}
		}
	}
}

// formatIDs formats the IDs of closed sessions.
func formatIDs[K comparable](all []pool.ClosedSession[K], format func(K) string) []closedSession {
	formatted := make([]closedSession, len(all))
	for i, c := range all {
		formatted[i] = closedSession{ID: format(c.ID), Address: c.Address, Reason: c.Reason, At: c.At, Late: c.Late}
	}
	return formatted
}

type addressed interface{ RemoteAddr() net.Addr }

// addressOf returns the peer's address; "" if the connection has none.
func addressOf(c addressed) string {
	if a := c.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}
