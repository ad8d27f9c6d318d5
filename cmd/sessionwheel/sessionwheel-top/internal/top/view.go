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
	return faint.Render("q quit  s/S sort  r reverse  / filter  n/p page  c closed  space pause  ? keys")
}

// counters draws the counters with their rates, and beside them the reasons.
func (m *model) counters(s *stats) []string {
	half := max(48, min(m.width/2, 70))
	left := []string{m.counter("open", count(s.Sessions.Open), "", m.history.open, half)}
	add := func(name string, n uint64) {
		rate := ""
		if r, ok := m.history.rate(name); ok {
			rate = trim(r) + "/s"
		}
		left = append(left, m.counter(name, count(n), rate, m.history.rates[name], half))
	}
	addBytes := func(name string, n uint64) {
		rate := ""
		if r, ok := m.history.rate(name); ok {
			rate = size(r) + "/s"
		}
		left = append(left, m.counter(name, size(float64(n)), rate, m.history.rates[name], half))
	}
	add("registered", s.Sessions.Registered)
	add("closed", s.Sessions.Closed)
	add("refused", s.Sessions.Refused.total())
	if t := s.Traffic; t != nil {
		addBytes("bytes in", t.BytesIn)
		addBytes("bytes out", t.BytesOut)
		add("frames in", t.FramesIn)
		add("frames out", t.FramesOut)
		if t.AcceptErrors > 0 {
			add("accept errors", t.AcceptErrors)
		}
	}
	if s.Wheel != nil {
		add("fired", s.Wheel.Fired)
	}
	return beside(left, m.reasonRows(s, m.width-half-2, len(left)), half)
}

func (m *model) counter(name, n, rate string, values []float64, width int) string {
	const names, numbers, rates = 13, 11, 9
	const before = names + 1 + numbers + 1 + rates + 1
	return faint.Render(left(name, names)) + " " + strong.Render(right(n, numbers)) + " " + right(rate, rates) + " " +
		bars.Render(m.glyphs.spark(values, width-before))
}

// reasonRows draws with what reasons sessions closed, at most limit lines.
func (m *model) reasonRows(s *stats, width, limit int) []string {
	list := s.reasons()
	if len(list) == 0 {
		return []string{faint.Render("no session has closed yet")}
	}
	rows := []string{faint.Render("closed by reason")}
	for i, r := range list {
		if len(rows) == limit-1 && len(list)-i > 1 {
			return append(rows, faint.Render(fmt.Sprintf("and %d more", len(list)-i)))
		}
		const name, n = 14, 9
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
