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

// Source is where a dashboard finds sessions: [Server], [UDP] or [Pool] makes
// one. The zero Source has none, and [New] refuses it.
type Source struct {
	sessions source // nil: none
}

// source finds sessions. Its methods are called from any goroutine.
type source interface {
	figures() figures
	all() iter.Seq[session]

	// lookup finds the session that id calls by this ID. When sure is false there
	// may be one all the same, which only a walk over all finds.
	lookup(name string) (s session, sure bool)

	id(session) string
	address(session) string
}

// session is what is shown of one.
type session interface {
	RegisteredAt() time.Time
	LastActive() time.Time
	Deadline() (time.Time, bool)
	Close(pool.Reason) bool
}

// figures are the counters of a source.
type figures struct {
	pool.Stats
	refusedPerIP uint64
	traffic      *tcp.Traffic // nil: not counted
}

// Server shows the sessions of a TCP server, which may begin to serve later.
func Server(srv *tcp.Server) Source {
	if srv == nil {
		return Source{}
	}
	return Source{tcpSource{srv}}
}

type tcpSource struct{ srv *tcp.Server }

func (t tcpSource) figures() figures {
	traffic := t.srv.Traffic()
	return figures{t.srv.Stats(), traffic.RefusedPerIP, &traffic}
}

func (t tcpSource) all() iter.Seq[session] { return sessions(t.srv.Sessions()) }

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

func (t tcpSource) id(s session) string { return strconv.FormatInt(s.(*tcp.Session).ID(), 10) }

func (t tcpSource) address(s session) string { return addressOf(s.(*tcp.Session)) }

// UDP shows the sessions of a UDP server, which may begin to serve later. Their
// IDs are their addresses, and what is not counted of them is null: the traffic.
func UDP(srv *udp.Server) Source {
	if srv == nil {
		return Source{}
	}
	return Source{udpSource{srv}}
}

type udpSource struct{ srv *udp.Server }

func (u udpSource) figures() figures {
	st := u.srv.Stats()
	return figures{Stats: st.Stats, refusedPerIP: st.RefusedPerIP}
}

func (u udpSource) all() iter.Seq[session] { return sessions(u.srv.Sessions()) }

func (u udpSource) lookup(name string) (session, bool) {
	addr, err := netip.ParseAddrPort(name)
	if err != nil {
		return nil, true
	}
	s, ok := u.srv.Session(addr)
	if !ok {
		return nil, true
	}
	return s, true
}

func (u udpSource) id(s session) string { return s.(*udp.Session).RemoteAddr().String() }

func (u udpSource) address(s session) string { return u.id(s) }

func sessions[S session](all iter.Seq[S]) iter.Seq[session] {
	return func(yield func(session) bool) {
		for s := range all {
			if !yield(s) {
				return
			}
		}
	}
}

type addressed interface{ RemoteAddr() net.Addr }

// addressOf is the peer's address, and "" if the connection has none.
func addressOf(c addressed) string {
	if a := c.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}
