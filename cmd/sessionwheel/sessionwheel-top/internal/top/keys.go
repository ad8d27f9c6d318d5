package top

// keys is what each key does, as ? shows it.
var keys = []struct{ key, does string }{
	{"q, Ctrl-C", "quit"},
	{"s, S", "sort by the next or the previous column"},
	{"r", "reverse the order"},
	{"/", "filter by an ID or a part of an address; Esc clears the filter"},
	{"n, p", "next and previous page"},
	{"g", "first page"},
	{"c", "switch between the open sessions and those that closed last"},
	{"space", "pause, or go on"},
	{"Ctrl-Z", "suspend"},
	{"?", "show or hide this list"},
}

// keyTable draws the list of the keys, rows of them at most.
func (m *model) keyTable(rows int) []string {
	lines := []string{heading.Render("keys"), faint.Render("? or Esc closes this list")}
	for _, k := range keys[:min(len(keys), rows)] {
		lines = append(lines, "  "+strong.Render(left(k.key, 11))+k.does)
	}
	return lines
}
