package dashboard

import (
	"cmp"
	"math"
	"strings"
	"time"
)

// The keys that sessions are sorted by.
const (
	byID        = "id"
	byAddress   = "address"
	byIdle      = "idle"
	byRemaining = "remaining"
	byAge       = "age"
)

var sorts = []string{byID, byAddress, byIdle, byRemaining, byAge}

// never is the remaining time of a session without a deadline.
const never = time.Duration(math.MaxInt64)

// row is a session as a search saw it.
type row struct {
	source               source
	session              session
	age, idle, remaining time.Duration
	id, address          string // "" until they are needed
}

// newRow returns a session's row as of now, the time when the search began. Activity
// since then counts as of that time.
func newRow(from source, s session, now time.Time) row {
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

// ID returns the formatted ID. It formats it once, when it is first needed.
func (r *row) ID() string {
	if r.id == "" {
		r.id = r.source.id(r.session)
	}
	return r.id
}

// Address returns the formatted address. It formats it as ID does.
func (r *row) Address() string {
	if r.address == "" {
		r.address = r.source.address(r.session)
	}
	return r.address
}

// matches reports whether the search finds the row.
func (s *search) matches(r *row) bool {
	return r.idle >= s.idle && (s.text == "" || r.ID() == s.text || strings.Contains(r.Address(), s.text))
}

// before reports whether a sorts before b. Rows that are otherwise equal are sorted
// by ID, so that the pages of one search fit together.
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

// compareIDs orders whole numbers by value, and other texts after them.
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

// isNumber reports whether an ID is a whole number without leading zeros.
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
