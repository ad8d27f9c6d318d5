// Package charts draws the results of a run, each chart as SVG and as PNG.
package charts

import (
	"errors"
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sessionwheel/sessionwheel/lab/bench/report"
	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// errNothing says that a chart's figures were not measured.
var errNothing = errors.New("charts: nothing was measured")

// chart is one picture: its file's name without the ending, and how it is made.
type chart struct {
	name string
	draw func(report.Results) (*picture, error)
}

var all = []chart{
	{"touch", touchChart},
	{"steady", steadyChart},
	{"lateness", latenessChart},
	{"memory", memoryChart},
	{"stall", stallChart},
	{"server-cpu", serverCPUChart},
	{"server-memory", serverMemoryChart},
}

// Write draws every chart that there are figures for into dir, which exists,
// and returns the files' names.
func Write(dir string, rs report.Results) (files []string, err error) {
	for _, c := range all {
		p, err := c.draw(rs)
		if errors.Is(err, errNothing) {
			continue
		}
		if err != nil {
			return files, fmt.Errorf("charts: %s: %w", c.name, err)
		}
		for _, ending := range []string{".svg", ".png"} {
			file := filepath.Join(dir, c.name+ending)
			if err := p.save(file); err != nil {
				return files, fmt.Errorf("charts: %s: %w", file, err)
			}
			files = append(files, file)
		}
	}
	return files, nil
}

// colors are the same for an implementation in every chart.
var colors = map[string]color.RGBA{
	works.Ours:          {0x00, 0x4f, 0xb4, 0xff},
	"plain":             {0xd5, 0x5e, 0x00, 0xff},
	"time.Timer":        {0x00, 0x8f, 0x62, 0xff},
	"sweep":             {0xc2, 0x18, 0x5b, 0xff},
	"antlabs/timer":     {0x8d, 0x6e, 0x00, 0xff},
	"ouqiang/timewheel": {0x6d, 0x4c, 0x41, 0xff},
	"go-timewheel":      {0x7b, 0x1f, 0xa2, 0xff},
	"go-zero":           {0x37, 0x47, 0x4f, 0xff},
	"otter":             {0xe0, 0x9b, 0x00, 0xff},
	"ttlcache":          {0x55, 0x8b, 0x2f, 0xff},
	"net":               {0x9e, 0x9e, 0x9e, 0xff},
	"net+deadline":      {0xd5, 0x5e, 0x00, 0xff},
}

// other is for what has no color of its own.
var other = color.RGBA{0x90, 0x90, 0x90, 0xff}

func colorOf(impl string) color.RGBA {
	if c, ok := colors[impl]; ok {
		return c
	}
	return other
}

// lineOf is how an implementation's line looks: this project's is thick, the
// baselines' are dashed.
func lineOf(impl string) draw.LineStyle {
	l := draw.LineStyle{Color: colorOf(impl), Width: vg.Points(1.4)}
	switch impl {
	case works.Ours:
		l.Width = vg.Points(3)
	case "clock+store", "clock+CAS":
		l.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	}
	return l
}
