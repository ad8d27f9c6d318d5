package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// spread is a set of durations to be described: how late sessions were closed.
type spread []time.Duration

// at returns the quantile q, between 0 and 1, by the nearest rank: the least
// value that at least that share of the values does not exceed. It sorts.
func (s spread) at(q float64) time.Duration {
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

// histogram writes the spread as rows of text bars, from the first row that has
// something to the last that has.
func (s spread) histogram(sc *screen) {
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
		bar := sc.bar(counts[i], 0, most, width)
		if counts[i] > 0 && strings.TrimSpace(bar) == "" {
			bar = "." + strings.Repeat(" ", width-1) // few, but not none
		}
		sc.printf("    %16s  %s %s", label, bar, count(counts[i]))
	}
}

// count writes a number with its thousands apart: 12,345.
func count(n int) string {
	s := strconv.Itoa(n)
	start := len(s) % 3
	if n < 0 {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:start])
	for i := start; i < len(s); i += 3 {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s[i : i+3])
	}
	return b.String()
}

// short rounds a duration to what a reader can use: three digits or so.
func short(d time.Duration) string {
	switch abs := d.Abs(); {
	case abs >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case abs >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case abs >= 100*time.Millisecond:
		d = d.Round(time.Millisecond)
	case abs >= 10*time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	case abs >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	default:
		d = d.Round(time.Microsecond)
	}
	return d.String()
}

// plural gives "1 session" or "2 sessions".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", count(n), noun)
}

// size gives a number of bytes in the unit that suits it: 12.3 MB.
func size(bytes float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if bytes < 1000 {
			return fmt.Sprintf("%.1f %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.1f GB", bytes)
}
