package pool

import "io"

// table is the sessions of a shard by their ID: a hash table with open addressing
// and linear probing. The hashes lie by themselves, so that looking for an ID that is
// not there, growing and shrinking read no session. It has a few places at most when
// the sessions have gone. It is plain data; its zero value is empty.
type table[K comparable, C io.Closer] struct {
	hashes   []uint32 // a power of two, or none; 0: the place is free
	sessions []*Session[K, C]
	n        int
}

const minPlaces = 8

// usedHash makes a hash differ from that of a free place. Places go by its low bits.
const usedHash = 1 << 31

// find returns the session with that ID, and nil if there is none.
func (t *table[K, C]) find(hash uint32, id K) *Session[K, C] {
	if t.n == 0 {
		return nil
	}
	for i := t.home(hash); t.hashes[i] != 0; i = t.after(i) {
		if s := t.sessions[i]; t.hashes[i] == hash && s.id == id {
			return s
		}
	}
	return nil
}

// home is where a hash lies, or after it where there is a place; there must be places.
func (t *table[K, C]) home(hash uint32) int { return int(hash) & (len(t.hashes) - 1) }

func (t *table[K, C]) after(i int) int { return (i + 1) & (len(t.hashes) - 1) }

// add puts s in, whose ID no session in the table has.
func (t *table[K, C]) add(s *Session[K, C]) {
	if t.n >= len(t.hashes)*13/16 {
		t.resize(max(minPlaces, 2*len(t.hashes)))
	}
	t.place(s.hash, s)
	t.n++
}

func (t *table[K, C]) place(hash uint32, s *Session[K, C]) {
	i := t.home(hash)
	for t.hashes[i] != 0 {
		i = t.after(i)
	}
	t.hashes[i], t.sessions[i] = hash, s
}

// remove takes s out, if it is in: another session with its ID stays.
func (t *table[K, C]) remove(s *Session[K, C]) bool {
	if t.n == 0 {
		return false
	}
	i := t.home(s.hash)
	for t.sessions[i] != s {
		if t.hashes[i] == 0 {
			return false
		}
		i = t.after(i)
	}
	t.free(i)
	t.n--
	switch {
	case t.n == 0 && len(t.hashes) > minPlaces:
		t.hashes, t.sessions = nil, nil
	case t.n < len(t.hashes)/8 && len(t.hashes) > 4*minPlaces:
		t.resize(len(t.hashes) / 4)
	}
	return true
}

// free frees a place. Those that were put behind it, since it was taken, move up.
func (t *table[K, C]) free(i int) {
	mask := len(t.hashes) - 1
	for j := t.after(i); t.hashes[j] != 0; j = t.after(j) {
		if (j-t.home(t.hashes[j]))&mask >= (j-i)&mask {
			t.hashes[i], t.sessions[i] = t.hashes[j], t.sessions[j]
			i = j
		}
	}
	t.hashes[i], t.sessions[i] = 0, nil
}

// fetch reads where a hash would lie.
func (t *table[K, C]) fetch(hash uint32) uint32 {
	if t.n == 0 {
		return 0
	}
	i := t.home(hash)
	if t.sessions[i] != nil {
		return t.hashes[i]
	}
	return 0
}

func (t *table[K, C]) resize(places int) {
	hashes, sessions := t.hashes, t.sessions
	t.hashes, t.sessions = make([]uint32, places), make([]*Session[K, C], places)
	for i, hash := range hashes {
		if hash != 0 {
			t.place(hash, sessions[i])
		}
	}
}

// appendTo appends sessions to some, and no more than most.
func (t *table[K, C]) appendTo(some []*Session[K, C], most int) []*Session[K, C] {
	for _, s := range t.sessions {
		if most == 0 {
			break
		}
		if s != nil {
			some = append(some, s)
			most--
		}
	}
	return some
}
