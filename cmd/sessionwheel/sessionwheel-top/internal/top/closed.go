package top

import "encoding/json"

// closedPage is the answer of api/closed: the sessions that closed last, the newest
// first.
type closedPage struct {
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
const maxClosed = 100

// parseClosed reads the answer of api/closed. The texts in it are made safe to show.
func parseClosed(body []byte) (*closedPage, error) {
	p := new(closedPage)
	if err := json.Unmarshal(body, p); err != nil {
		return nil, errForeign
	}
	p.Sessions = p.Sessions[:min(len(p.Sessions), maxClosed)]
	for i := range p.Sessions {
		s := &p.Sessions[i]
		s.ID, s.Address, s.Reason = printable(s.ID, 40), printable(s.Address, 60), printable(s.Reason, 40)
	}
	return p, nil
}

// closedTable draws the sessions that closed last, rows of them at most.
func (m *model) closedTable(rows int) []string {
	title := heading.Render("closed last")
	if m.closed == nil {
		return []string{title + "  " + faint.Render("the server does not tell"), ""}
	}
	lines := []string{
		title + "  " + faint.Render("newest first; c shows the open sessions"),
		faint.Render(closedRow(m.width, "ID", "ADDRESS", "REASON", "AGO", "LATE")),
	}
	for _, s := range m.closed.Sessions[:min(len(m.closed.Sessions), rows)] {
		lines = append(lines, s.row(m.width))
	}
	return lines
}

func (s closedSession) row(width int) string {
	late := "-"
	if s.Late != nil {
		late = short(seconds(*s.Late))
	}
	return closedRow(width, s.ID, s.Address, s.Reason, short(seconds(s.Ago)), late)
}

// closedRow lays a row out for a width; the address has what the others leave.
func closedRow(width int, id, address, reason, ago, late string) string {
	const ids, reasons, times = 10, 14, 9
	return left(id, ids) + " " + left(address, max(15, width-ids-1-reasons-1-2*(times+1))) + " " +
		left(reason, reasons) + " " + right(ago, times) + " " + right(late, times)
}
