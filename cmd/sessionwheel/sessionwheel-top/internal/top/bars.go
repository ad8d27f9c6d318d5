package top

import "strings"

// glyphs are the symbols that a terminal can show.
type glyphs struct {
	bars     []rune // from empty to full
	up, down string // mark the column that a table is sorted by
	box      []rune // corners and edges: top left, horizontal, top right, vertical, bottom left, bottom right
}

var (
	blocks = glyphs{[]rune(" ▁▂▃▄▅▆▇█"), "▲", "▼", []rune("┌─┐│└┘")}
	asciis = glyphs{[]rune(" .:-=+*#"), "+", "-", []rune("+-+|++")}
)

// spark draws values as bars side by side, width cells wide, of the last values
// if there are more. The greatest is full, and what is not zero is never empty.
func (g glyphs) spark(values []float64, width int) string {
	if width <= 0 {
		return ""
	}
	values = values[max(0, len(values)-width):]
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		b.WriteRune(g.cell(v, most))
	}
	return b.String()
}

func (g glyphs) cell(v, most float64) rune {
	if v <= 0 || most <= 0 {
		return g.bars[0]
	}
	full := len(g.bars) - 1
	return g.bars[max(1, min(full, int(v/most*float64(full)+0.5)))]
}

// row draws counts as bars side by side, width cells wide. Where there are more
// counts than cells, neighbors share one.
func (g glyphs) row(counts []uint64, width int) string {
	if width <= 0 || len(counts) == 0 {
		return ""
	}
	width = min(width, len(counts))
	values := make([]float64, width)
	for i, n := range counts {
		values[i*width/len(counts)] += float64(n)
	}
	return g.spark(values, width)
}

// gauge draws part of a whole as one bar that grows to the right, width cells
// wide at most.
func (g glyphs) gauge(part, whole uint64, width int) string {
	if part == 0 || whole == 0 {
		return ""
	}
	n := int(float64(part)/float64(whole)*float64(width) + 0.5)
	return strings.Repeat(string(g.bars[len(g.bars)-1]), max(1, min(n, width)))
}
