package udp

import "net/netip"

// table holds sessions by their addresses: buckets of sessions that are chained
// through themselves. It grows and shrinks with the sessions. It is plain data, and
// its zero value is empty.
type table struct {
	buckets []*Session // a power of two, or none
	n       int
}

const minBuckets = 8

// bucket returns the beginning of the chain for a hash. There must be buckets.
func (t *table) bucket(hash uint32) **Session {
	return &t.buckets[hash&uint32(len(t.buckets)-1)]
}

// find returns the session with that address, and nil if there is none.
func (t *table) find(hash uint32, addr netip.AddrPort) *Session {
	if t.n == 0 {
		return nil
	}
	for s := *t.bucket(hash); s != nil; s = s.nextAddr {
		if s.hash == hash && s.addr == addr {
			return s
		}
	}
	return nil
}

// add adds s, whose address no session in the table has.
func (t *table) add(s *Session) {
	if t.n == len(t.buckets) {
		t.resize(max(minBuckets, 2*len(t.buckets)))
	}
	b := t.bucket(s.hash)
	s.nextAddr, *b = *b, s
	t.n++
}

// remove removes s, which must be in the table.
func (t *table) remove(s *Session) {
	b := t.bucket(s.hash)
	for *b != s {
		b = &(*b).nextAddr
	}
	*b, s.nextAddr = s.nextAddr, nil
	t.n--
	switch {
	case t.n == 0:
		t.buckets = nil
	case t.n < len(t.buckets)/4 && len(t.buckets) > minBuckets:
		t.resize(len(t.buckets) / 2)
	}
}

func (t *table) resize(buckets int) {
	old := t.buckets
	t.buckets = make([]*Session, buckets)
	for _, s := range old {
		for s != nil {
			next := s.nextAddr
			b := t.bucket(s.hash)
			s.nextAddr, *b = *b, s
			s = next
		}
	}
}
