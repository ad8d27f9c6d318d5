package udp

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"sync"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// addressParts is the number of tables, a power of two. Only one of them is resized
// at a time, so Serve never waits for long.
const addressParts = 64

// addresses knows which session has which address, and how many sessions there are
// from each network.
type addresses struct {
	// Immutable.
	seed     maphash.Seed
	maxPerIP int // 0: no limit

	mu sync.Mutex
	// Guarded by mu, as are the sessions' hash, nextAddr, listed and counted. A
	// session's addr is written with its own mu held as well.
	parts [addressParts]table
	perIP map[netip.Addr]int // nil without a limit
}

// init prepares a for use.
func (a *addresses) init(maxPerIP int) {
	a.seed = maphash.MakeSeed()
	if maxPerIP > 0 {
		a.maxPerIP = maxPerIP
		a.perIP = make(map[netip.Addr]int)
	}
}

// locate returns the table of an address and the hash to find it there.
func (a *addresses) locate(addr netip.AddrPort) (*table, uint32) {
	h := maphash.Comparable(a.seed, addr)
	return &a.parts[h%addressParts], uint32(h >> 32)
}

// find returns the session of an address, and nil if there is none. It may be
// closed.
func (a *addresses) find(addr netip.AddrPort) *Session {
	t, hash := a.locate(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	return t.find(hash, addr)
}

// errTaken says that an address has another session than the caller believes.
var errTaken = errors.New("udp: the address has a session")

// begin makes a session and lists it under its address, in place of dead, which is
// nil or the closed session that the caller has found there. The error is
// ErrTooManyFromIP or errTaken.
func (a *addresses) begin(srv *Server, addr netip.AddrPort, dead *Session) (*Session, error) {
	t, hash := a.locate(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	old := t.find(hash, addr)
	if old != nil && old != dead {
		return nil, errTaken
	}
	if !a.countLocked(netserver.Network(addr.Addr())) {
		return nil, ErrTooManyFromIP
	}
	if old != nil {
		a.unlistLocked(old)
	}
	s := &Session{server: srv, busy: true, addr: addr, hash: hash, listed: true, counted: true}
	t.add(s)
	return s, nil
}

// countLocked counts one more session from a network, unless MaxSessionsPerIP is
// reached.
func (a *addresses) countLocked(network netip.Addr) bool {
	if a.perIP == nil {
		return true
	}
	if a.perIP[network] >= a.maxPerIP {
		return false
	}
	a.perIP[network]++
	return true
}

// uncountLocked stops counting s towards MaxSessionsPerIP, if it still counts.
func (a *addresses) uncountLocked(s *Session) {
	if s.counted && a.perIP != nil {
		network := netserver.Network(s.addr.Addr())
		if a.perIP[network]--; a.perIP[network] == 0 {
			delete(a.perIP, network)
		}
	}
	s.counted = false
}

// uncount is uncountLocked.
func (a *addresses) uncount(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uncountLocked(s)
}

// unlist makes the address of a closed session free, unless it is already.
func (a *addresses) unlist(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unlistLocked(s)
}

func (a *addresses) unlistLocked(s *Session) {
	if s.listed {
		t, _ := a.locate(s.addr)
		t.remove(s)
		s.listed = false
	}
}
