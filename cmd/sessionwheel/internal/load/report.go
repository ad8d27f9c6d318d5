package load

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// failed tells whether the run gives a bad exit status. Call it after the run.
func (l *load) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures.Load() > 0 || l.early > 0 || l.overdue > 0 || l.mute()
}

// mute tells that there were active connections and not one echo, as with a
// server that splits messages otherwise.
func (l *load) mute() bool { return l.cfg.Active > 0 && l.sent.Load() == 0 }

// report prints the summary. Call it after the run.
func (l *load) report(sc *console.Screen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.ended.Sub(l.connected)
	if l.connected.IsZero() {
		sc.Printf("Stopped after %s, before all were connected: nothing was measured.\n", console.Short(l.ended.Sub(l.began)))
		took = 0
	} else {
		sc.Printf("After %s, and %s to connect:\n", console.Short(took), console.Short(l.connected.Sub(l.began)))
	}
	if l.cfg.Active > 0 {
		l.reportActive(sc, took)
	}
	if l.cfg.Idle > 0 {
		l.reportIdle(sc)
	}
	sc.Printf("  errors       %s", console.Count(int(l.failures.Load())))
	for _, text := range slices.SortedFunc(maps.Keys(l.errors), func(a, b string) int { return l.errors[b] - l.errors[a] }) {
		sc.Printf("    %9s  %s", console.Count(l.errors[text]), text)
	}
}

func (l *load) reportActive(sc *console.Screen, took time.Duration) {
	sent, rate := int(l.sent.Load()), 0.0
	if took > 0 {
		rate = float64(sent) / took.Seconds()
	}
	sc.Printf("  messages     %s echoed, %s/s, %s/s each way", console.Count(sent), console.Count(int(rate)), console.Size(rate*float64(l.cfg.Size)))
	if l.mute() && took > 0 {
		sc.Printf("               %s", sc.Paint(console.Bold+console.Red, "no echo at all: does the server split messages as --split "+l.cfg.Split+"?"))
	}
	if h := l.roundTrips.merged(); h.TotalCount() > 0 {
		at := func(percent float64) string { return console.Short(time.Duration(h.ValueAtQuantile(percent))) }
		sc.Printf("  round trip   p50 %s   p90 %s   p99 %s   p99.9 %s   max %s",
			at(50), at(90), at(99), at(99.9), console.Short(time.Duration(h.Max())))
		if l.cfg.Rate > 0 {
			sc.Printf("               (from when each message was due, at %s/s)", console.Count(int(l.cfg.Rate)))
		}
	}
}

func (l *load) reportIdle(sc *console.Screen) {
	closed := int(l.closed.Load())
	sc.Printf("  idle         %s closed by the server, %s still open at the end", console.Count(closed), console.Count(l.left))
	what, note := "closed late", "\n               (from the client's last message plus --idle-timeout)"
	if l.cfg.IdleTimeout == 0 {
		what, note = "closed after", "\n               (--idle-timeout tells how late that was)"
	}
	if len(l.lateness) > 0 {
		sc.Printf("  %-12s p50 %s   p99 %s   max %s%s", what,
			console.Short(l.lateness.At(0.50)), console.Short(l.lateness.At(0.99)), console.Short(l.lateness.At(1)), note)
		if l.cfg.IdleTimeout > 0 {
			l.lateness.Histogram(sc)
		}
	}
	if l.early > 0 {
		sc.Printf("  %s", sc.Paint(console.Bold+console.Red, fmt.Sprintf("early        %s closed before --idle-timeout %v", console.Count(l.early), l.cfg.IdleTimeout)))
	}
	if n := l.overdue; n > 0 {
		sc.Printf("  %s", sc.Paint(console.Bold+console.Red, fmt.Sprintf("overdue      %s still open %v after --idle-timeout", console.Count(n), overdue)))
	}
}
