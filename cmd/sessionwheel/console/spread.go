package console

import (
	"slices"
	"strings"
	"time"
)

// Spread is a set of durations to describe, such as how late sessions were
// closed.
type Spread []time.Duration

// At returns the quantile q, between 0 and 1, by the nearest rank: the least
// value that at least that share of the values does not exceed. It sorts s.
func (s Spread) At(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	slices.Sort(s)
	rank := int(q*float64(len(s)) + 0.999999)
	return s[min(max(rank, 1), len(s))-1]
}

// bounds are the upper ends of a histogram's rows; one more row has the rest.
var bounds = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second,
}

// Histogram writes the spread as rows of text bars, from the first row that has
// a value to the last.
func (s Spread) Histogram(sc *Screen) {
	const width = 40
	counts := make([]int, len(bounds)+1)
	for _, d := range s {
		row, found := slices.BinarySearch(bounds, d)
		if found {
			row++ // a row holds what is below its bound
		}
		counts[row]++
	}
	first := slices.IndexFunc(counts, func(n int) bool { return n > 0 })
	if first < 0 {
		return
	}
	last, most := first, slices.Max(counts)
	for i, n := range counts {
		if n > 0 {
			last = i
		}
	}
	for i := first; i <= last; i++ {
		var label string
		switch {
		case i == 0:
			label = "under " + bounds[0].String()
		case i == len(bounds):
			label = "over " + bounds[i-1].String()
		default:
			label = bounds[i-1].String() + " to " + bounds[i].String()
		}
		bar := sc.Bar(counts[i], 0, most, width)
		if counts[i] > 0 && strings.TrimSpace(bar) == "" {
			bar = "." + strings.Repeat(" ", width-1) // few, but not none
		}
		sc.Printf("    %16s  %s %s", label, bar, Count(counts[i]))
	}
}
