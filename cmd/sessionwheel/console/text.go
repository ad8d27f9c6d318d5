package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// OneLine returns the error's text as one line that is safe to show.
func OneLine(err error) string {
	return Clean(strings.Join(strings.Fields(err.Error()), " "))
}

// Clean removes from a text what a terminal could take for commands: control
// characters, line separators and changes of the writing direction.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, s)
}

// Count writes a number with separated thousands: 12,345.
func Count(n int) string {
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

// Plural returns "1 session" or "2 sessions".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", Count(n), noun)
}

// Short rounds a duration to about three digits.
func Short(d time.Duration) string {
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

// Size writes a number of bytes in a fitting unit: 12.3 MB.
func Size(bytes float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if bytes < 1000 {
			return fmt.Sprintf("%.1f %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.1f GB", bytes)
}
