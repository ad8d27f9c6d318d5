package faults

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Figures are what was measured. Times are in milliseconds, memory in MiB.
type Figures map[string]float64

// The figures.
const (
	armed       = "armed"        // sessions whose end was watched
	early       = "early"        // of them closed before they were due
	earliest    = "earliest ms"  // by how much, at most
	latest      = "latest ms"    // how late the latest was
	lost        = "lost"         // not closed when they had been due for Case.lostAfter
	twice       = "twice"        // closed more than once
	stalled     = "stalled ms"   // after how long nothing fired any more; -1: it went on
	hung        = "hung"         // calls that never came back
	stops       = "stops hung"   // calls of Stop that never came back
	waited      = "waited ms"    // the longest that registering and closing a session took meanwhile
	goroutines  = "goroutines"   // most at once
	memory      = "memory MiB"   // at most, beyond what was in use before
	held        = "held MiB"     // in use afterwards, beyond what was before
	heldTouched = "held T MiB"   // the same after the touches
	frozen      = "frozen ms"    // the longest time in which nothing ran
	senders     = "senders"      // peers that sent in time
	wrong       = "wrong"        // of them closed
	silents     = "silents"      // peers that were silent
	silent      = "silent"       // of them closed
	thaw        = "thaw ms"      // when the last of those was, after the thaw
	recovered   = "recovered"    // panics that somebody recovered
	cycles      = "GC cycles"    // collections meanwhile
	cpu         = "processor ms" // of the whole process
)

// lostAfter is how long after it was due a session is waited for.
func (c Case) lostAfter() time.Duration { return time.Duration(c.scaled(10, 5)) * time.Second }

// tolerable is how early a firing may be without being marked: a tick.
const tolerable = 10 * time.Millisecond

// phrase says what a figure means for the reader, in bold if it breaks what a
// user of the implementation counts on.
func (f Figures) phrase(key string) string {
	v, ok := f[key]
	if !ok {
		return ""
	}
	switch key {
	case early:
		return pick(v == 0, "none early", boldIf(f[earliest] > millis(tolerable), "%s of %s early, by %s at most", count(v), count(f[armed]), ms(f[earliest])))
	case lost:
		return pick(v == 0, "none lost", bold("%s of %s lost", count(v), count(f[armed])))
	case latest:
		return pick(v < 0, "the latest "+ms(-v)+" before it was due", "the latest "+ms(v)+" late")
	case twice:
		return pick(v == 0, "", bold("%s closed twice", count(v)))
	case stalled:
		return pick(v < 0, "went on", bold("nothing fires after %s", ms(v)))
	case hung:
		return pick(v == 0, "no call hangs", bold("%s calls hang for good", count(v)))
	case stops:
		return pick(v == 0, "no Stop hangs", bold("%s Stops hang for good", count(v)))
	case waited:
		return "callers wait " + ms(v) + " at most"
	case goroutines:
		return count(v) + " goroutines"
	case memory:
		return fmt.Sprintf("%s MiB more at the peak", count(math.Max(0, math.Round(v))))
	case held:
		return fmt.Sprintf("%.1f MiB kept of the closed", math.Max(0, v))
	case heldTouched:
		return fmt.Sprintf("%.1f MiB kept of the touches", math.Max(0, v))
	case wrong:
		return pick(v == 0, "none of "+count(f[senders])+" senders closed", bold("%s of %s senders closed", count(v), count(f[senders])))
	case silent:
		return boldIf(v < f[silents], "%s of %s silent ones closed", count(v), count(f[silents]))
	case thaw:
		return "the last " + ms(v) + " after the thaw"
	default:
		return fmt.Sprintf("%s %g", key, v)
	}
}

func pick(is bool, a, b string) string {
	if is {
		return a
	}
	return b
}

func bold(format string, args ...any) string { return "**" + fmt.Sprintf(format, args...) + "**" }

func boldIf(is bool, format string, args ...any) string {
	return pick(is, bold(format, args...), fmt.Sprintf(format, args...))
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ms writes a time in milliseconds with two or three digits.
func ms(v float64) string {
	const hour, year = 3_600_000, 365 * 24 * 3_600_000
	switch {
	case v < 10:
		return fmt.Sprintf("%.1f ms", v)
	case v < 1000:
		return fmt.Sprintf("%.0f ms", v)
	case v < 100_000:
		return fmt.Sprintf("%.1f s", v/1000)
	case v < 2*24*hour:
		return fmt.Sprintf("%.1f h", v/hour)
	default:
		return fmt.Sprintf("%.0f years", v/year)
	}
}

// count writes a whole number with commas.
func count(v float64) string {
	text := strconv.FormatInt(int64(v), 10)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, parts...), ",")
}
