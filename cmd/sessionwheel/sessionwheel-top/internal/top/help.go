package top

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// keys are what a key does, in the order in which they are shown.
var keys = []struct{ key, does string }{
	{"q, Ctrl-C", "quit"},
	{"c", "show the sessions that closed last, or the open ones"},
	{"s, S", "sort by the next column, or the one before"},
	{"r", "reverse the order"},
	{"/", "show only one ID, or a part of the address"},
	{"Esc", "show all again"},
	{"n, p", "turn the page"},
	{"g", "go to the first page"},
	{"space", "pause, or go on"},
	{"Ctrl-Z", "suspend"},
	{"?, Esc", "close this list"},
}

// helpBox draws the list of the keys.
func (m *model) helpBox() []string {
	const key = 11
	width := 0
	for _, k := range keys {
		width = max(width, key+len(k.does))
	}
	g := m.glyphs.box
	edge, side := strings.Repeat(string(g[1]), width+2), string(g[3])
	box := []string{string(g[0]) + edge + string(g[2])}
	for _, k := range keys {
		box = append(box, side+" "+strong.Render(left(k.key, key))+left(k.does, width-key)+" "+side)
	}
	return append(box, string(g[4])+edge+string(g[5]))
}

// overlay puts a box in the middle of lines, none of which is wider than width. It
// cuts what does not fit.
func overlay(lines []string, width int, box []string) {
	if len(lines) == 0 {
		return
	}
	wide := min(width, ansi.StringWidth(box[0]))
	from := (width - wide) / 2
	top := max(0, (len(lines)-len(box))/2)
	for i, b := range box[:min(len(box), len(lines))] {
		line := lines[top+i]
		before := ansi.Truncate(line, from, "") // a character of two cells may be cut off
		before += strings.Repeat(" ", from-ansi.StringWidth(before))
		lines[top+i] = ansi.Truncate(before+ansi.Truncate(b, wide, "")+ansi.Cut(line, from+wide, width), width, "")
	}
}
