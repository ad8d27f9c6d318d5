package top

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// printable is s as it may be shown: without escape sequences and whatever else
// does not print, such as controls and marks that turn the direction of text, in
// one line of at most limit cells.
func printable(s string, limit int) string {
	if len(s) > 64*limit { // more than any text of that width needs
		s = s[:64*limit]
	}
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r) && !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Me, r):
			return r
		}
		return -1
	}, ansi.Strip(s))
	return ansi.Truncate(strings.TrimSpace(s), limit, "~")
}

// count writes a number with its thousands apart: 12,345.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a duration for people, in three digits or so; from a minute on
// in its two greatest units.
func short(d time.Duration) string {
	switch {
	case d == math.MaxInt64:
		return "for ever"
	case d < 0:
		return "0s"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 100*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return strconv.FormatFloat(float64(d.Round(100*time.Millisecond))/float64(time.Second), 'f', 1, 64) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
}

// size writes a number of bytes in the unit that suits it: 12.3 MB.
func size(bytes float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if bytes < 1000 {
			return trim(bytes) + " " + unit
		}
		bytes /= 1000
	}
	return trim(bytes) + " TB"
}

// trim writes a number with one digit behind the point, and none from 100 on.
func trim(f float64) string {
	if f >= 99.95 || f == 0 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'f', 1, 64)
}

// reason is a reason and how many sessions closed with it.
type reason struct {
	text string
	n    uint64
}

// reasons are those that sessions closed with, the most frequent first.
func (s *stats) reasons() []reason {
	list := make([]reason, 0, len(s.Sessions.ByReason))
	for _, text := range slices.Sorted(maps.Keys(s.Sessions.ByReason)) {
		list = append(list, reason{text, s.Sessions.ByReason[text]})
	}
	slices.SortStableFunc(list, func(a, b reason) int { return cmp.Compare(b.n, a.n) })
	return list
}
