package dashboard

import (
	"cmp"
	"math"
	"strings"
	"time"
)

// What sessions are sorted by.
const (
	byID        = "id"
	byAddress   = "address"
	byIdle      = "idle"
	byRemaining = "remaining"
	byAge       = "age"
)

var sorts = []string{byID, byAddress, byIdle, byRemaining, byAge}

// never is what remains of a session that nothing is to end.
const never = time.Duration(math.MaxInt64)

// row is a session as it was when a search came by.
type row struct {
	source               source
	session              session
	age, idle, remaining time.Duration
	id, address          string // "" until asked for
}

// measure is the session's row at the time when a search began. What happened to
// the session since then counts as of that time.
func measure(from source, s session, now time.Time) row {
	r := row{
		source:    from,
		session:   s,
		age:       max(0, now.Sub(s.RegisteredAt())),
		idle:      max(0, now.Sub(s.LastActive())),
		remaining: never,
	}
	if at, ok := s.Deadline(); ok {
		r.remaining = max(0, at.Sub(now))
	}
	return r
}

// ID is made once, since not every search needs all of them.
func (r *row) ID() string {
	if r.id == "" {
		r.id = r.source.id(r.session)
	}
	return r.id
}

// Address is made once, as ID is.
func (r *row) Address() string {
	if r.address == "" {
		r.address = r.source.address(r.session)
	}
	return r.address
}

// matches reports whether the row is one that was searched for.
func (s *search) matches(r *row) bool {
	return r.idle >= s.idle && (s.text == "" || r.ID() == s.text || strings.Contains(r.Address(), s.text))
}

// before reports whether a stands before b. Rows that are equal stand in the
// order of their IDs, so that the pages of one search fit together.
func (s *search) before(a, b *row) bool {
	if s.descending {
		a, b = b, a
	}
	var c int
	switch s.sort {
	case byAddress:
		c = strings.Compare(a.Address(), b.Address())
	case byIdle:
		c = cmp.Compare(a.idle, b.idle)
	case byRemaining:
		c = cmp.Compare(a.remaining, b.remaining)
	case byAge:
		c = cmp.Compare(a.age, b.age)
	}
	if c == 0 {
		c = compareIDs(a.ID(), b.ID())
	}
	return c < 0
}

// compareIDs puts whole numbers first, by what they are, and other texts after
// them.
func compareIDs(a, b string) int {
	switch x, y := isNumber(a), isNumber(b); {
	case x && y:
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	case x:
		return -1
	case y:
		return 1
	}
	return strings.Compare(a, b)
}

// isNumber reports whether an ID is a whole number without zeros in front.
func isNumber(id string) bool {
	if id == "" || id[0] == '0' && id != "0" {
		return false
	}
	for i := range len(id) {
		if id[i] < '0' || id[i] > '9' {
			return false
		}
	}
	return true
}
