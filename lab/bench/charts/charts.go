// Package charts draws the results of a run, each chart as SVG and as PNG. An
// SVG follows the reader's color scheme; a PNG is light.
package charts

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sessionwheel/sessionwheel/lab/bench/report"
)

// errNothing is returned by a chart whose figures were not measured.
var errNothing = errors.New("charts: nothing was measured")

// chart is a file's name, without its extension, and how the file is drawn.
type chart struct {
	name string
	draw func(report.Results) (*picture, error)
}

var charts = []chart{
	{"touch", touchChart},
	{"steady", steadyChart},
	{"lateness", latenessChart},
	{"memory", memoryChart},
	{"stall", stallChart},
	{"server-cpu", serverCPUChart},
	{"server-frames", serverFramesChart},
	{"server-memory", serverMemoryChart},
	{"server-memory-tls", serverMemoryTLSChart},
}

// Write draws each chart whose figures were measured into dir, which must exist,
// and returns the names of the files.
func Write(dir string, rs report.Results) (files []string, err error) {
	for _, c := range charts {
		p, err := c.draw(rs)
		if errors.Is(err, errNothing) {
			continue
		}
		if err != nil {
			return files, fmt.Errorf("charts: %s: %w", c.name, err)
		}
		for _, extension := range []string{".svg", ".png"} {
			file := filepath.Join(dir, c.name+extension)
			if err := p.save(file); err != nil {
				return files, fmt.Errorf("charts: %s: %w", file, err)
			}
			files = append(files, file)
		}
	}
	return files, nil
}
