package top

import (
	"encoding/json"
	"fmt"
)

// closedList is the answer of api/closed, the newest first.
type closedList struct {
	Sessions []closedSession `json:"sessions"`
}

type closedSession struct {
	ID      string   `json:"id"`
	Address string   `json:"address"`
	Reason  string   `json:"reason"`
	Ago     float64  `json:"ago_seconds"`
	Late    *float64 `json:"late_seconds"` // nil: no deadline closed it
}

// maxClosed is how many closed sessions are shown at most.
const maxClosed = 64

// parseClosed parses the answer of api/closed, and makes its texts safe to show.
func parseClosed(body []byte) (*closedList, error) {
	l := new(closedList)
	if err := json.Unmarshal(body, l); err != nil {
		return nil, errForeign
	}
	l.Sessions = l.Sessions[:min(len(l.Sessions), maxClosed)]
	for i := range l.Sessions {
		s := &l.Sessions[i]
		s.ID, s.Address, s.Reason = printable(s.ID, 40), printable(s.Address, 60), printable(s.Reason, 40)
	}
	return l, nil
}

// closedTable draws the sessions that closed last.
func (m *model) closedTable(title string, rows int) []string {
	all := m.closed.Sessions
	first := min(m.query.offset, len(all))
	shown := all[first:min(len(all), first+rows)]
	text := fmt.Sprintf("%d", len(all))
	if s := m.history.last(); s != nil && s.Sessions.Closed > uint64(len(all)) {
		text += " of " + count(s.Sessions.Closed)
	}
	if len(shown) > 0 && len(shown) < len(all) {
		text += fmt.Sprintf(", %d to %d shown", first+1, first+len(shown))
	}
	lines := []string{title + "  " + text, faint.Render(closedRow(m.width, closedColumns...))}
	for _, s := range shown {
		lines = append(lines, s.row(m.width))
	}
	return lines
}

var closedColumns = []string{"ID", "ADDRESS", "REASON", "AGO", "LATE"}

func (s closedSession) row(width int) string {
	late := "-"
	if s.Late != nil {
		late = short(seconds(*s.Late))
	}
	reason := s.Reason
	if reason == "" {
		reason = "(none)"
	}
	return closedRow(width, s.ID, s.Address, reason, short(seconds(s.Ago)), late)
}

// closedRow lays out a row of the sessions that closed last, whose cells are those
// of closedColumns. The address gets the width that the others leave.
func closedRow(width int, cells ...string) string {
	const ids, reasons, times = 10, 20, 9
	return left(cells[0], ids) + " " + left(cells[1], max(15, width-ids-reasons-2-2*(times+1))) + " " +
		left(cells[2], reasons) + " " + right(cells[3], times) + " " + right(cells[4], times)
}
