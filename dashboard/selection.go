package dashboard

// selection keeps the first few of many rows in some order. It is a heap of the
// rows kept so far with the last of them on top, which a row that sorts before it
// replaces.
type selection struct {
	keep   int // at least 1
	before func(a, b *row) bool
	rows   []row // a heap once its length is keep
}

// add offers a row to the selection, which copies it.
func (s *selection) add(r *row) {
	switch {
	case len(s.rows) < s.keep:
		s.rows = append(s.rows, *r)
		if len(s.rows) == s.keep {
			s.heapify()
		}
	case s.before(r, &s.rows[0]):
		s.rows[0] = *r
		s.sink(0, len(s.rows))
	}
}

// from returns the rows that were kept, in order, without the first offset. It sorts
// no more than it returns. The selection must not be used afterwards.
func (s *selection) from(offset int) []row {
	if offset >= len(s.rows) {
		return nil
	}
	if len(s.rows) < s.keep {
		s.heapify()
	}
	for last := len(s.rows) - 1; last >= max(offset, 1); last-- {
		s.rows[0], s.rows[last] = s.rows[last], s.rows[0]
		s.sink(0, last)
	}
	return s.rows[offset:]
}

// heapify makes a heap of the rows.
func (s *selection) heapify() {
	for i := len(s.rows)/2 - 1; i >= 0; i-- {
		s.sink(i, len(s.rows))
	}
}

// sink moves the i-th of the first n rows down until no row below it sorts after
// it.
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
