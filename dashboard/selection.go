package dashboard

// selection keeps the first few of many rows in some order: a heap of those that
// it has kept so far, with the last of them on top, which the next row that
// comes before it replaces.
type selection struct {
	keep   int // at least 1
	before func(a, b *row) bool
	rows   []row // a heap once there are as many as keep
}

// add offers a row, which it copies.
func (s *selection) add(r *row) {
	switch {
	case len(s.rows) < s.keep:
		s.rows = append(s.rows, *r)
		if len(s.rows) == s.keep {
			s.order()
		}
	case s.before(r, &s.rows[0]):
		s.rows[0] = *r
		s.sink(0, len(s.rows))
	}
}

// from is what was kept, in order, without as many rows as offset. It sorts no
// more than it returns, and ends the selection.
func (s *selection) from(offset int) []row {
	if offset >= len(s.rows) {
		return nil
	}
	if len(s.rows) < s.keep {
		s.order()
	}
	for last := len(s.rows) - 1; last >= max(offset, 1); last-- {
		s.rows[0], s.rows[last] = s.rows[last], s.rows[0]
		s.sink(0, last)
	}
	return s.rows[offset:]
}

// order makes a heap of the rows.
func (s *selection) order() {
	for i := len(s.rows)/2 - 1; i >= 0; i-- {
		s.sink(i, len(s.rows))
	}
}

// sink moves the i-th of the first n rows down to where none beneath it comes
// after it.
func (s *selection) sink(i, n int) {
	for {
		child := 2*i + 1
		if child >= n {
			return
		}
		if child+1 < n && s.before(&s.rows[child], &s.rows[child+1]) {
			child++
		}
		if !s.before(&s.rows[i], &s.rows[child]) {
			return
		}
		s.rows[i], s.rows[child] = s.rows[child], s.rows[i]
		i = child
	}
}
