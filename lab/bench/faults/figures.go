package faults

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Figures has the measured values by name. Times are in milliseconds and memory
// is in MiB.
type Figures map[string]float64

// The names of the figures.
const (
	armed       = "armed"        // sessions whose deadlines were recorded
	early       = "early"        // sessions closed before they were due
	earliest    = "earliest ms"  // how early the earliest was
	latest      = "latest ms"    // how late the latest was
	lost        = "lost"         // sessions not closed Case.lostAfter after they were due
	twice       = "twice"        // sessions closed more than once
	stalled     = "stalled ms"   // when the last timer fired; -1 if timers go on firing
	hung        = "hung"         // calls that did not return
	stops       = "stops hung"   // calls of Stop that did not return
	waited      = "waited ms"    // the longest time to register and close a session
	goroutines  = "goroutines"   // the most at once
	memory      = "memory MiB"   // the peak, less what was in use before
	held        = "held MiB"     // in use afterwards, less what was in use before
	heldTouched = "held T MiB"   // the same, after the touches
	frozen      = "frozen ms"    // the longest time in which the process did not run
	senders     = "senders"      // peers that sent in time
	wrong       = "wrong"        // senders that were closed
	sendGap     = "send gap ms"  // the longest time between two sends of a sender
	silents     = "silents"      // peers that sent nothing
	silent      = "silent"       // silent peers that were closed
	thaw        = "thaw ms"      // from the thaw to the last of those closings
	recovered   = "recovered"    // panics that were recovered
	cycles      = "GC cycles"    // garbage collections
	cpu         = "processor ms" // of the whole process
)

// lostAfter returns how long after its deadline a session counts as lost.
func (c Case) lostAfter() time.Duration { return time.Duration(c.scaled(10, 5)) * time.Second }

// earlyTolerance is how early a session may be closed without being marked: a
// tick.
const earlyTolerance = 10 * time.Millisecond

// phrase describes a figure. The phrase is bold if the figure breaks something
// that a server relies on.
func (f Figures) phrase(key string) string {
	v, ok := f[key]
	if !ok {
		return ""
	}
	switch key {
	case early:
		return choose(v == 0, "none early", boldIf(f[earliest] > millis(earlyTolerance), "%s of %s early, by %s at most", count(v), count(f[armed]), formatMillis(f[earliest])))
	case lost:
		return choose(v == 0, "none lost", bold("%s of %s lost", count(v), count(f[armed])))
	case latest:
		return choose(v < 0, "the latest "+formatMillis(-v)+" before it was due", "the latest "+formatMillis(v)+" late")
	case twice:
		return choose(v == 0, "", bold("%s closed twice", count(v)))
	case stalled:
		return choose(v < 0, "went on", bold("nothing fires after %s", formatMillis(v)))
	case hung:
		return choose(v == 0, "no call hangs", bold("%s calls hang for good", count(v)))
	case stops:
		return choose(v == 0, "no Stop hangs", bold("%s Stops hang for good", count(v)))
	case waited:
		return "callers wait " + formatMillis(v) + " at most"
	case goroutines:
		return count(v) + " goroutines"
	case memory:
		return fmt.Sprintf("%s MiB more at the peak", count(math.Max(0, math.Round(v))))
	case held:
		return fmt.Sprintf("%.1f MiB kept of the closed", math.Max(0, v))
	case heldTouched:
		return fmt.Sprintf("%.1f MiB kept of the touches", math.Max(0, v))
	case wrong:
		return choose(v == 0, "none of "+count(f[senders])+" senders closed", bold("%s of %s senders closed", count(v), count(f[senders])))
	case silent:
		return boldIf(v < f[silents], "%s of %s silent ones closed", count(v), count(f[silents]))
	case thaw:
		return "the last " + formatMillis(v) + " after the thaw"
	default:
		return fmt.Sprintf("%s %g", key, v)
	}
}

func choose(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func bold(format string, args ...any) string { return "**" + fmt.Sprintf(format, args...) + "**" }

func boldIf(broken bool, format string, args ...any) string {
	return choose(broken, bold(format, args...), fmt.Sprintf(format, args...))
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// formatMillis formats a time with two or three digits.
func formatMillis(v float64) string {
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

// count formats a whole number with commas.
func count(v float64) string {
	text := strconv.FormatInt(int64(v), 10)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, parts...), ",")
}
