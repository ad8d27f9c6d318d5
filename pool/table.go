package pool

import "io"

// table is the sessions of a shard by their ID: buckets of sessions that are
// chained through themselves. It grows and shrinks with the sessions, and holds
// nothing when they have gone. It is plain data; its zero value is empty.
type table[K comparable, C io.Closer] struct {
	buckets []*Session[K, C] // a power of two, or none
	n       int
}

const minBuckets = 8

// bucket is where the chain of a hash begins. There must be buckets.
func (t *table[K, C]) bucket(hash uint32) **Session[K, C] {
	return &t.buckets[hash&uint32(len(t.buckets)-1)]
}

// first is the first session of a hash's chain, and nil if there is none.
func (t *table[K, C]) first(hash uint32) *Session[K, C] {
	if t.n == 0 {
		return nil
	}
	return *t.bucket(hash)
}

// find returns the session with that ID, and nil if there is none.
func (t *table[K, C]) find(hash uint32, id K) *Session[K, C] {
	for s := t.first(hash); s != nil; s = s.next {
		if s.hash == hash && s.id == id {
			return s
		}
	}
	return nil
}

// add puts s in, whose ID no session in the table has.
func (t *table[K, C]) add(s *Session[K, C]) {
	if t.n == len(t.buckets) {
		t.resize(max(minBuckets, 2*len(t.buckets)))
	}
	b := t.bucket(s.hash)
	s.next, *b = *b, s
	t.n++
}

// remove takes s out, if it is in: another session with its ID stays.
func (t *table[K, C]) remove(s *Session[K, C]) bool {
	if t.n == 0 {
		return false
	}
	for b := t.bucket(s.hash); *b != nil; b = &(*b).next {
		if *b != s {
			continue
		}
		*b, s.next = s.next, nil
		t.n--
		switch {
		case t.n == 0:
			t.buckets = nil
		case t.n < len(t.buckets)/8 && len(t.buckets) > 4*minBuckets:
			t.resize(len(t.buckets) / 4)
		}
		return true
	}
	return false
}

func (t *table[K, C]) resize(buckets int) {
	old := t.buckets
	t.buckets = make([]*Session[K, C], buckets)
	for _, s := range old {
		for s != nil {
			next := s.next
			b := t.bucket(s.hash)
			s.next, *b = *b, s
			s = next
		}
	}
}

// appendTo appends sessions to some, and no more than most.
func (t *table[K, C]) appendTo(some []*Session[K, C], most int) []*Session[K, C] {
	for _, s := range t.buckets {
		for ; s != nil && most > 0; s = s.next {
			some = append(some, s)
			most--
		}
	}
	return some
}
