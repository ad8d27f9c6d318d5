package charts

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// shades is a color, as 0xRRGGBB, on a light page and on a dark one.
type shades struct{ light, dark uint32 }

// implColors has the color of each implementation, the same in all charts.
var implColors = map[string]shades{
	measure.Ours:        {0x004fb4, 0x58a6ff},
	"plain":             {0xd55e00, 0xf0883e},
	"time.Timer":        {0x008f62, 0x3fb950},
	"sweep":             {0xc2185b, 0xf778ba},
	"antlabs/timer":     {0x8d6e00, 0xbfa33a},
	"ouqiang/timewheel": {0x6d4c41, 0xb08d80},
	"go-timewheel":      {0x7b1fa2, 0xbc8cff},
	"go-zero":           {0x37474f, 0x8ca3af},
	"otter":             {0xe09b00, 0xffc247},
	"ttlcache":          {0x558b2f, 0x9ccc65},
	"net":               {0x9e9e9e, 0x9e9e9e},
	"net+deadline":      {0xd55e00, 0xf0883e},
}

var (
	// otherColor is for implementations without a color of their own.
	otherColor = shades{0x909090, 0x909090}

	backgroundColor = shades{0xffffff, 0x0d1117}
	inkColor        = shades{0x000000, 0xe6edf3} // axes and text
	gridColor       = shades{0x808080, 0x808080}
)

func rgb(v uint32) color.RGBA {
	return color.RGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}
}

func shadesOf(impl string) shades {
	if c, ok := implColors[impl]; ok {
		return c
	}
	return otherColor
}

func colorOf(impl string) color.RGBA { return rgb(shadesOf(impl).light) }

// lineOf returns the line style of an implementation. This project's line is
// thick, and those of the baselines are dashed.
func lineOf(impl string) draw.LineStyle {
	l := draw.LineStyle{Color: colorOf(impl), Width: vg.Points(1.4)}
	switch impl {
	case measure.Ours:
		l.Width = vg.Points(3)
	case "clock+store", "clock+CAS":
		l.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	}
	return l
}

// allShades returns the colors of the charts in a fixed order.
func allShades() []shades {
	all := []shades{otherColor, backgroundColor, inkColor, gridColor}
	for _, c := range implColors {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b shades) int { return int(a.light) - int(b.light) })
	return slices.Compact(all)
}

// darkStyle returns a style element that replaces the light colors by the dark
// ones if the reader prefers a dark color scheme. Text has no color of its own in
// the files that gonum writes.
func darkStyle() string {
	var css strings.Builder
	fmt.Fprintf(&css, "<style>@media (prefers-color-scheme: dark) {\ntext{fill:#%06X}\n", inkColor.dark)
	for _, c := range allShades() {
		if c.light == c.dark {
			continue
		}
		for _, property := range []string{"fill", "stroke"} {
			fmt.Fprintf(&css, "[style*=\"%s:#%06X\"]{%[1]s:#%06[3]X!important}\n", property, c.light, c.dark)
		}
	}
	css.WriteString("}</style>\n")
	return css.String()
}

var errNoSVG = errors.New("the drawing has no svg element")

// withDarkStyle inserts darkStyle into an SVG file, as the first element.
func withDarkStyle(svg []byte) ([]byte, error) {
	start := bytes.Index(svg, []byte("<svg"))
	if start < 0 {
		return nil, errNoSVG
	}
	length := bytes.IndexByte(svg[start:], '>')
	if length < 0 {
		return nil, errNoSVG
	}
	head, rest := svg[:start+length+1], svg[start+length+1:]
	return slices.Concat(head, []byte("\n"+strings.TrimSuffix(darkStyle(), "\n")), rest), nil
}
