package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/pool"
)

// print writes the verdict, for a reader who sees the program for the first time.
func (v verdict) print(sc *console.Screen, cfg Config, took time.Duration) {
	silent := cfg.Clients - cfg.talking()
	sc.Separate()
	sc.Printf("After %s:\n", console.Short(took))
	sc.Printf("  sessions registered   %8s", console.Count(v.registered))
	active := ""
	if n := v.activeClosed + v.starved; n > 0 {
		active = fmt.Sprintf(", %s active", console.Count(n))
	}
	sc.Printf("  closed with \"Timeout\" %8s   of %s that fell silent%s", console.Count(v.timedOut), console.Count(silent), active)
	sc.Printf("  still open            %8s   of %s that kept talking", console.Count(v.open), console.Count(cfg.talking()))
	v.printLateness(sc, cfg.Idle)
	v.printClosedLast(sc)
	for _, note := range v.notes() {
		sc.Printf("\n  Note: %s.", note)
	}
	except := ""
	if v.starved > 0 {
		except = "\n        whose client talked in time"
	}
	failures := v.failures()
	if len(failures) == 0 {
		sc.Printf("\n%s: every silent session was closed, none of them early, and no active one%s.", sc.Paint(console.Bold+console.Green, "PASSED"), except)
		return
	}
	sc.Printf("\n%s: %s.", sc.Paint(console.Bold+console.Red, "FAILED"), strings.Join(failures, ";\n        "))
}

// closedShown is how many of the sessions that closed last are shown.
const closedShown = 5

// printClosedLast writes which sessions were closed last, and how late.
func (v verdict) printClosedLast(sc *console.Screen) {
	if len(v.closedLast) == 0 {
		return
	}
	sc.Printf("\n  Closed last:")
	for _, c := range v.closedLast[:min(len(v.closedLast), closedShown)] {
		late := ""
		if c.Reason == pool.Timeout || c.Reason == pool.Lifetime {
			late = ", " + console.Short(c.Late) + " late"
		}
		sc.Printf("    session %-6d %-21s %q%s", c.ID, c.Address, c.Reason, late)
	}
}

// printLateness writes how late the sessions that timed out were closed.
func (v verdict) printLateness(sc *console.Screen, idle time.Duration) {
	if len(v.lateness) == 0 {
		return
	}
	sc.Printf("\n  How late \"Timeout\" came, after %v of inactivity:", idle)
	sc.Printf("    p50 %s   p99 %s   max %s\n", console.Short(v.lateness.At(0.50)), console.Short(v.lateness.At(0.99)), console.Short(v.lateness.At(1)))
	v.lateness.Histogram(sc)
}
