package top

import (
	"fmt"
	"strings"
	"time"
)

// plain writes a sample as text without control codes: a name and a value on
// each line, in sections, so that scripts can read it too.
func plain(name string, s sample) string {
	var b strings.Builder
	section := func(title string) { fmt.Fprintf(&b, "\n%s\n", title) }
	value := func(name string, v any) { fmt.Fprintf(&b, "  %-18s %v\n", name, v) }

	st := s.stats
	title := st.Title
	if title == "" {
		title = "sessionwheel"
	}
	fmt.Fprintf(&b, "%s  %s  %s  up %s\n", title, name, st.Time.UTC().Format(time.RFC3339), short(seconds(*st.Uptime)))

	section("sessions")
	value("open", st.Sessions.Open)
	value("registered", st.Sessions.Registered)
	value("closed", st.Sessions.Closed)
	r := st.Sessions.Refused
	value("refused-duplicate", r.Duplicate)
	value("refused-unclaimed", r.Unclaimed)
	value("refused-full", r.Full)
	value("refused-closed", r.Closed)
	value("refused-per-ip", r.PerIP)
	if list := st.reasons(); len(list) > 0 {
		section("closed by reason")
		for _, r := range list {
			value(r.text, r.n)
		}
	}
	if t := st.Traffic; t != nil {
		section("traffic")
		value("bytes-in", t.BytesIn)
		value("bytes-out", t.BytesOut)
		value("frames-in", t.FramesIn)
		value("frames-out", t.FramesOut)
		value("outbound", t.Outbound)
		value("dropped", t.Dropped)
		value("slow", t.Slow)
		value("accept-errors", t.AcceptErrors)
		value("probes", t.Probes)
	}
	if w := st.Wheel; w != nil {
		section("wheel")
		value("tick", seconds(w.Tick))
		value("pending", w.Pending)
		value("slots", w.Slots)
		value("fired", w.Fired)
		value("moved", w.Moved)
		value("running", w.Running)
		value("waiting", w.Waiting)
		value("rescued", w.Rescued)
		value("library-disabled", w.LibraryDisabled)
		value("late-p50", seconds(w.Lateness.P50))
		value("late-p99", seconds(w.Lateness.P99))
		for _, l := range w.Levels {
			value(fmt.Sprintf("level-%d", l.Level), fmt.Sprintf("%d timers in %d slots of %v", l.timers(), len(l.Slots), seconds(l.Slot)))
		}
	}
	const width = 78
	if s.refused != nil {
		section("sessions by " + s.asked.sort + ": " + cause(s.refused))
	} else if p := s.sessions; p != nil {
		section(fmt.Sprintf("sessions by %s: %d of %d that match, of %d", s.asked.sort, len(p.Sessions), p.Matching, p.Total))
		b.WriteString("  " + tableRow(width, "ID", "ADDRESS", "AGE", "IDLE", "REMAINING") + "\n")
		for _, s := range p.Sessions {
			b.WriteString("  " + s.row(width) + "\n")
		}
	}
	if s.refusedClosed != nil {
		section("closed last: " + cause(s.refusedClosed))
	} else if c := s.closed; c != nil {
		shown := c.Sessions[:min(len(c.Sessions), s.asked.limit)]
		section(fmt.Sprintf("closed last: %d of %d", len(shown), st.Sessions.Closed))
		b.WriteString("  " + closedRow(width, closedColumns...) + "\n")
		for _, s := range shown {
			b.WriteString("  " + s.row(width) + "\n")
		}
	}
	return b.String()
}
