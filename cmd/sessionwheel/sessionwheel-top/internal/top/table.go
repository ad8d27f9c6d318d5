package top

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// tableHead is how many lines of the table stand above its rows.
const tableHead = 2

// table draws a page of the open sessions or of those that closed last, with the
// given number of rows at most.
func (m *model) table(rows int) []string {
	title := heading.Render("sessions")
	if m.query.closed {
		title = heading.Render("closed last")
	}
	switch {
	case m.refused != nil:
		return []string{title + "  " + bad.Render(cause(m.refused)), ""}
	case m.closed != nil:
		return m.closedTable(title, rows)
	case m.page == nil:
		return []string{title + "  " + faint.Render("asking"), ""}
	}
	p := m.page
	shown := p.Sessions[:min(len(p.Sessions), rows)]
	text := fmt.Sprintf("%s of %s", count(p.Matching), count(p.Total))
	if m.query.filter != "" {
		text += fmt.Sprintf(" match %q", m.query.filter)
	}
	if len(shown) > 0 && uint64(len(shown)) < p.Matching {
		text += fmt.Sprintf(", %s to %s shown", count(p.Offset+1), count(p.Offset+uint64(len(shown))))
	}
	lines := []string{title + "  " + text, faint.Render(m.columns())}
	for _, s := range shown {
		lines = append(lines, s.row(m.width))
	}
	return lines
}

// columns returns the line of the columns' names. It marks the one that the table
// is sorted by.
func (m *model) columns() string {
	names := make(map[string]string, len(Columns))
	for _, c := range Columns {
		names[c] = strings.ToUpper(c)
		if c == m.query.sort {
			names[c] += m.glyphs.up
			if m.query.desc {
				names[c] = strings.ToUpper(c) + m.glyphs.down
			}
		}
	}
	return tableRow(m.width, names["id"], names["address"], names["age"], names["idle"], names["remaining"])
}

func (s session) row(width int) string {
	remaining := "never"
	if s.Remaining != nil {
		remaining = short(seconds(*s.Remaining))
	}
	name := s.Address
	if s.Label != "" {
		name = strings.TrimLeft(name+" "+s.Label, " ")
	}
	return tableRow(width, s.ID, name, short(seconds(s.Age)), short(seconds(s.Idle)), remaining)
}

// tableRow lays out a row of the open sessions. The address, with the label behind it,
// gets the width that the others leave.
func tableRow(width int, id, address, age, idle, remaining string) string {
	const ids, times = 10, 11
	return left(id, ids) + " " + left(address, max(15, width-ids-1-3*(times+1))) + " " +
		right(age, times) + " " + right(idle, times) + " " + right(remaining, times)
}

// left puts text at the left of a column, right at its right; what is too long
// is cut.
func left(text string, width int) string {
	text = ansi.Truncate(text, width, "~")
	return text + strings.Repeat(" ", width-ansi.StringWidth(text))
}

func right(text string, width int) string {
	text = ansi.Truncate(text, width, "~")
	return strings.Repeat(" ", width-ansi.StringWidth(text)) + text
}

// beside joins two blocks of lines, the first one width cells wide.
func beside(a, b []string, width int) []string {
	lines := make([]string, max(len(a), len(b)))
	for i := range lines {
		if i < len(a) {
			lines[i] = ansi.Truncate(a[i], width, "")
		}
		if i < len(b) {
			lines[i] += strings.Repeat(" ", max(0, width+2-ansi.StringWidth(lines[i]))) + b[i]
		}
	}
	return lines
}
