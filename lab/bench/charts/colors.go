package charts

import (
	"image/color"

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
