package main

import (
	"fmt"
	"maps"
	"slices"
	"time"
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
func (l *load) report(sc *screen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.ended.Sub(l.connected)
	if l.connected.IsZero() {
		sc.printf("Stopped after %s, before all were connected: nothing was measured.\n", short(l.ended.Sub(l.began)))
		took = 0
	} else {
		sc.printf("After %s, and %s to connect:\n", short(took), short(l.connected.Sub(l.began)))
	}
	if l.cfg.Active > 0 {
		l.reportActive(sc, took)
	}
	if l.cfg.Idle > 0 {
		l.reportIdle(sc)
	}
	sc.printf("  errors       %s", count(int(l.failures.Load())))
	for _, text := range slices.SortedFunc(maps.Keys(l.errors), func(a, b string) int { return l.errors[b] - l.errors[a] }) {
		sc.printf("    %9s  %s", count(l.errors[text]), text)
	}
}

func (l *load) reportActive(sc *screen, took time.Duration) {
	sent, rate := int(l.sent.Load()), 0.0
	if took > 0 {
		rate = float64(sent) / took.Seconds()
	}
	sc.printf("  messages     %s echoed, %s/s, %s/s each way", count(sent), count(int(rate)), size(rate*float64(l.cfg.Size)))
	if l.mute() && took > 0 {
		sc.printf("               %s", sc.paint(bold+red, "no echo at all: does the server split messages as --split "+l.cfg.Split+"?"))
	}
	if h := l.roundTrips.merged(); h.TotalCount() > 0 {
		at := func(percent float64) string { return short(time.Duration(h.ValueAtQuantile(percent))) }
		sc.printf("  round trip   p50 %s   p90 %s   p99 %s   p99.9 %s   max %s",
			at(50), at(90), at(99), at(99.9), short(time.Duration(h.Max())))
		if l.cfg.Rate > 0 {
			sc.printf("               (from when each message was due, at %s/s)", count(int(l.cfg.Rate)))
		}
	}
}

func (l *load) reportIdle(sc *screen) {
	closed := int(l.closed.Load())
	sc.printf("  idle         %s closed by the server, %s still open at the end", count(closed), count(l.left))
	what, note := "closed late", "\n               (from the client's last message plus --idle-timeout)"
	if l.cfg.IdleTimeout == 0 {
		what, note = "closed after", "\n               (--idle-timeout tells how late that was)"
	}
	if len(l.lateness) > 0 {
		sc.printf("  %-12s p50 %s   p99 %s   max %s%s", what,
			short(l.lateness.at(0.50)), short(l.lateness.at(0.99)), short(l.lateness.at(1)), note)
		if l.cfg.IdleTimeout > 0 {
			l.lateness.histogram(sc)
		}
	}
	if l.early > 0 {
		sc.printf("  %s", sc.paint(bold+red, fmt.Sprintf("early        %s closed before --idle-timeout %v", count(l.early), l.cfg.IdleTimeout)))
	}
	if n := l.overdue; n > 0 {
		sc.printf("  %s", sc.paint(bold+red, fmt.Sprintf("overdue      %s still open %v after --idle-timeout", count(n), overdue)))
	}
}
