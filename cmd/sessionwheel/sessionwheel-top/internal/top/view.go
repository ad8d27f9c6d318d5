package top

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// The colors are the terminal's own sixteen, so that they suit its background.
var (
	faint   = lipgloss.NewStyle().Faint(true)
	strong  = lipgloss.NewStyle().Bold(true)
	bars    = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	good    = lipgloss.NewStyle().Foreground(lipgloss.Green).Bold(true)
	bad     = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	heading = lipgloss.NewStyle().Bold(true).Underline(true)
)

// fewest is how many rows of the table there are before anything else is shown.
const fewest = 3

// View is called by the program after each event.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.screen(time.Now()), "\n"))
	v.AltScreen = true
	return v
}

// screen draws all lines, none of them wider than the terminal and no more than
// it has.
func (m *model) screen(now time.Time) []string {
	lines := append([]string{m.head(now)}, m.panels()...)
	lines = append(lines, m.table(m.rows())...)
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, min(len(lines), m.height-1))], m.foot())
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "")
	}
	if m.help {
		overlay(lines, m.width, m.helpBox())
	}
	return lines
}

// rows is how many rows of the table there is room for.
func (m *model) rows() int {
	return max(0, m.height-len(m.panels())-tableHead-2) // the head and the foot
}

// panels is what stands above the table, as far as there is room.
func (m *model) panels() []string {
	s := m.history.last()
	if s == nil {
		return nil
	}
	room := m.height - 2 - tableHead - fewest
	lines := m.counters(s)
	if len(lines) > room {
		return nil
	}
	wheel := m.wheel(s)
	if len(wheel) > room-len(lines) {
		wheel = wheel[:room-len(lines)]
	}
	return append(lines, wheel...)
}

func (m *model) head(now time.Time) string {
	title, up := "sessionwheel", ""
	if s := m.history.last(); s != nil {
		if s.Title != "" {
			title = s.Title
		}
		up = "up " + short(seconds(*s.Uptime))
	}
	state := good.Render("live")
	switch {
	case m.lost != nil:
		state = bad.Render(fmt.Sprintf("no answer for %s (%s), trying again", short(now.Sub(m.lostAt).Round(time.Second)), cause(m.lost)))
	case m.paused:
		state = strong.Render("paused")
	case m.history.restarts > 0:
		state += faint.Render(" restarted")
	}
	return strings.Join([]string{strong.Render(title), state, up, m.name}, "  ")
}

func (m *model) foot() string {
	if m.typing {
		return strong.Render("filter: ") + m.typed + "_" + faint.Render("   an ID, or part of an address; Enter shows, Esc leaves it")
	}
	if m.query.closed {
		return faint.Render("q quit  ? keys  c open sessions  n/p page  g first  space pause")
	}
	return faint.Render("q quit  ? keys  c closed  s/S sort  r reverse  / filter  n/p page  space pause")
}

// counterRow is a line of the counters.
type counterRow struct {
	name, n, rate string
	values        []float64 // of the sparkline
}

// counterRows returns the counters with their rates.
func (m *model) counterRows(s *stats) []counterRow {
	rows := []counterRow{{"open", count(s.Sessions.Open), "", m.history.open}}
	add := func(name string, n uint64, total, rate func(float64) string) {
		row := counterRow{name: name, n: total(float64(n)), values: m.history.rates[name]}
		if r, ok := m.history.rate(name); ok {
			row.rate = rate(r) + "/s"
		}
		rows = append(rows, row)
	}
	number := func(name string, n uint64) {
		add(name, n, func(float64) string { return count(n) }, trim)
	}
	bytes := func(name string, n uint64) { add(name, n, size, size) }
	number("registered", s.Sessions.Registered)
	number("closed", s.Sessions.Closed)
	number("refused", s.Sessions.Refused.total())
	if t := s.Traffic; t != nil {
		bytes("bytes in", t.BytesIn)
		bytes("bytes out", t.BytesOut)
		number("frames in", t.FramesIn)
		number("frames out", t.FramesOut)
		if t.AcceptErrors > 0 {
			number("accept errors", t.AcceptErrors)
		}
	}
	if s.Wheel != nil {
		number("fired", s.Wheel.Fired)
	}
	return rows
}

// counters draws the counters, and beside them the reasons. The columns of numbers
// are as wide as they have to be, which leaves room for sparklines on a narrow
// terminal too.
func (m *model) counters(s *stats) []string {
	half := max(40, min(m.width*58/100, 70))
	rows := m.counterRows(s)
	names, ns, rates := 0, 7, 9
	for _, r := range rows {
		names, ns, rates = max(names, len(r.name)), max(ns, len(r.n)), max(rates, len(r.rate))
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = faint.Render(left(r.name, names)) + " " + strong.Render(right(r.n, ns)) + " " + right(r.rate, rates) + " " +
			bars.Render(m.glyphs.spark(r.values, half-names-ns-rates-3))
	}
	return beside(lines, m.reasonRows(s, m.width-half-2, len(lines)), half)
}

// reasonRows draws with what reasons sessions closed, at most limit lines.
func (m *model) reasonRows(s *stats, width, limit int) []string {
	list := s.reasons()
	if len(list) == 0 {
		return []string{faint.Render("no session has closed yet")}
	}
	rows := []string{faint.Render("closed by reason")}
	n := len(count(list[0].n)) // the greatest
	for i, r := range list {
		if len(rows) == limit-1 && len(list)-i > 1 {
			return append(rows, faint.Render(fmt.Sprintf("and %d more", len(list)-i)))
		}
		const name = 14
		rows = append(rows, left(r.text, name)+" "+strong.Render(right(count(r.n), n))+" "+
			bars.Render(m.glyphs.gauge(r.n, s.Sessions.Closed, width-name-n-2)))
	}
	return rows
}

// wheel draws the wheel: each level as a row of bars, the slot that comes up
// next at the left.
func (m *model) wheel(s *stats) []string {
	w := s.Wheel
	if w == nil {
		return nil
	}
	line := fmt.Sprintf("tick %s  %s pending in %s slots  %s running",
		short(seconds(w.Tick)), count(w.Pending), count(w.Slots), count(w.Running))
	if w.Waiting > 0 {
		line += fmt.Sprintf("  %s waiting", count(w.Waiting))
	}
	if w.Rescued > 0 {
		line += fmt.Sprintf("  %s rescued", count(w.Rescued))
	}
	if w.LibraryDisabled {
		line += "  library disabled"
	}
	rows := []string{heading.Render("wheel") + "  " + line, m.late(w)}
	for _, l := range w.Levels {
		const label, n = 15, 12
		rows = append(rows, faint.Render(left(fmt.Sprintf("level %d  %s", l.Level, short(seconds(l.Slot))), label))+" "+
			bars.Render(m.glyphs.row(l.ahead(w.Now), m.width-label-n-2))+" "+count(l.timers()))
	}
	return rows
}

// late tells how late the wheel's callbacks started.
func (m *model) late(w *wheelStats) string {
	line := faint.Render("late ") + " p50 " + strong.Render(short(seconds(w.Lateness.P50))) +
		"  p99 " + strong.Render(short(seconds(w.Lateness.P99)))
	fresh, over := m.history.recent()
	p50, ok := quantile(fresh, 0.50)
	if !ok {
		return line
	}
	p99, _ := quantile(fresh, 0.99)
	return line + faint.Render(fmt.Sprintf("   in the last %s:", short(seconds(over)))) +
		" p50 " + strong.Render(short(p50)) + "  p99 " + strong.Render(short(p99))
}
