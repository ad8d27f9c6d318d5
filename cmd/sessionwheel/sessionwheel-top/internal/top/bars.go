package top

import (
	"strings"
	"unicode/utf8"
)

// glyphs are what bars are made of, from empty to full.
type glyphs []rune

var (
	blocks = glyphs(" ▁▂▃▄▅▆▇█")
	asciis = glyphs(" .:-=+*#")
)

// sortMark is what stands at the column that is sorted by.
func (g glyphs) sortMark(descending bool) string {
	ascii := g[len(g)-1] < utf8.RuneSelf
	switch {
	case ascii && descending:
		return "-"
	case ascii:
		return "+"
	case descending:
		return "▼"
	default:
		return "▲"
	}
}

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
		return g[0]
	}
	return g[max(1, min(len(g)-1, int(v/most*float64(len(g)-1)+0.5)))]
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
	return strings.Repeat(string(g[len(g)-1]), max(1, min(n, width)))
}
