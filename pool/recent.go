package pool

import (
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	// recentLimit is how many closed sessions RecentlyClosed returns.
	recentLimit = 64

	// recentText is how many bytes are kept of each of a closed session's texts.
	recentText = 256

	// recentRings is how many rings a pool has at most. A ring takes some 7 KiB,
	// and 57 KiB with the longest texts.
	recentRings = 8
)

// ClosedSession describes a session that has closed.
type ClosedSession[K comparable] struct {
	ID      K
	Address string        // the connection's RemoteAddr; "" if it has none
	Reason  Reason        // why it closed
	At      time.Time     // when the pool closed the connection, with a monotonic reading
	Late    time.Duration // for Timeout and Lifetime, how long after the deadline that was; otherwise 0
}

// RecentlyClosed returns the sessions that closed last, the newest first and at
// most 64. A session is among them once its connection is closed, and before its
// OnSessionClosed is called.
//
// Texts are cut to 256 bytes: addresses, reasons, and IDs whose type is a kind of
// string. An ID of another type is kept as it is, with all that it refers to,
// until enough other sessions have closed.
func (p *Pool[K, C]) RecentlyClosed() []ClosedSession[K] {
	var all []ClosedSession[K]
	for i := range p.recent.rings {
		ring := p.recent.rings[i].Load()
		if ring == nil {
			continue
		}
		for slot := range uint64(recentLimit) {
			if c, at, ok := ring.read(slot, p.recent.textual); ok {
				c.At = p.wheel.Time(at)
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b ClosedSession[K]) int { return b.At.Compare(a.At) })
	return slices.Clip(all[:min(len(all), recentLimit)])
}

// remember adds a closed session, whose connection was closed at the given time of
// the wheel's. due is when it had to end, and 0 if it did not have to. It is called
// with no lock held.
func (s *Session[K, C]) remember(at, due time.Duration) {
	var late time.Duration
	if due != 0 {
		late = max(0, at-due)
	}
	s.shard.pool.recent.add(s.id, s.peer(), s.detail.Load().reason, at, late)
}

// peer is the address of a connection: ip, or text if it is of another kind.
type peer struct {
	ip   netip.AddrPort
	text string
}

// peer returns the connection's address, which the connection's own code tells. A
// panic there goes to OnPanic, if there is one, and no further.
func (s *Session[K, C]) peer() (from peer) {
	c, ok := any(s.conn).(interface{ RemoteAddr() net.Addr })
	if !ok {
		return peer{}
	}
	defer func() {
		if v := recover(); v != nil {
			from = peer{text: "(RemoteAddr panicked)"}
			if s.shard.pool.c.OnPanic != nil {
				s.shard.pool.c.OnPanic(v, debug.Stack())
			}
		}
	}()
	return peerOf(c.RemoteAddr())
}

// peerOf leaves the usual addresses to be formatted when they are read.
func peerOf(a net.Addr) peer {
	var ip netip.AddrPort
	switch a := a.(type) {
	case nil:
		return peer{}
	case *net.TCPAddr:
		ip = a.AddrPort()
	case *net.UDPAddr:
		ip = a.AddrPort()
	}
	if !ip.IsValid() {
		return peer{text: a.String()}
	}
	return peer{ip: ip}
}

// format returns the address as its String method does.
func (p peer) format() string {
	if !p.ip.IsValid() {
		return p.text
	}
	return netip.AddrPortFrom(p.ip.Addr().Unmap(), p.ip.Port()).String()
}

// recent holds the sessions that closed last, in several rings. Closes on
// different processors use different rings, mostly: memory that all of them wrote
// to would cost more than everything else here.
type recent[K comparable] struct {
	// Immutable.
	textual bool // K is a kind of string

	local sync.Pool // of *recentRing[K], since it returns what the same processor put there
	next  atomic.Uint32
	rings []atomic.Pointer[recentRing[K]] // each is nil until it is used
}

// recentRing has a slot for each of the last sessions that were added to it.
type recentRing[K comparable] struct {
	mu sync.Mutex
	// Guarded by mu.
	added uint64 // ever
	slots [recentLimit]recentSlot[K]
}

// recentSlot holds a closed session. Its texts lie in one buffer, which the next
// session reuses: so a close need not allocate, and a slot keeps no larger string
// alive that a text is part of.
type recentSlot[K comparable] struct {
	id              K // the zero value if K is a kind of string
	at, late        time.Duration
	ip              netip.AddrPort // the address, if it is of that kind
	text            []byte         // the ID if K is a kind of string, the reason, and an address of another kind
	reason, address uint32         // where those begin in text
}

func newRecent[K comparable]() *recent[K] {
	r := &recent[K]{
		textual: reflect.TypeFor[K]().Kind() == reflect.String,
		rings:   make([]atomic.Pointer[recentRing[K]], min(recentRings, runtime.GOMAXPROCS(0))),
	}
	r.local.New = func() any { return r.ring() }
	return r
}

// ring returns the rings in turn.
func (r *recent[K]) ring() *recentRing[K] {
	p := &r.rings[r.next.Add(1)%uint32(len(r.rings))]
	if p.Load() == nil {
		p.CompareAndSwap(nil, new(recentRing[K]))
	}
	return p.Load()
}

func (r *recent[K]) add(id K, from peer, reason Reason, at, late time.Duration) {
	ring := r.local.Get().(*recentRing[K])
	ring.mu.Lock()
	s := &ring.slots[ring.added%recentLimit]
	ring.added++
	s.id, s.at, s.late, s.ip = id, at, late, from.ip
	s.text = s.text[:0]
	if r.textual {
		v := reflect.ValueOf(&s.id).Elem() // by a pointer to what is on the heap already, to allocate nothing
		s.text = appendCut(s.text, v.String())
		v.SetZero()
	}
	s.reason = uint32(len(s.text))
	s.text = appendCut(s.text, string(reason))
	s.address = uint32(len(s.text))
	s.text = appendCut(s.text, from.text)
	ring.mu.Unlock()
	r.local.Put(ring)
}

// read returns a slot's session, without its At, and the wheel's time for that.
// It reports false if the slot is empty.
func (ring *recentRing[K]) read(slot uint64, textual bool) (c ClosedSession[K], at time.Duration, ok bool) {
	ring.mu.Lock()
	defer ring.mu.Unlock()
	if slot >= ring.added {
		return c, 0, false
	}
	s := &ring.slots[slot]
	text := string(s.text)
	c = ClosedSession[K]{ID: s.id, Address: peer{s.ip, text[s.address:]}.format(), Reason: Reason(text[s.reason:s.address]), Late: s.late}
	if textual {
		reflect.ValueOf(&c.ID).Elem().SetString(text[:s.reason])
	}
	return c, s.at, true
}

// appendCut appends the first recentText bytes of s, or a few less so that no
// character is cut in two.
func appendCut(b []byte, s string) []byte {
	if len(s) <= recentText {
		return append(b, s...)
	}
	end := recentText
	for end > recentText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return append(b, s[:end]...)
}
