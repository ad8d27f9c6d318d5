package charts

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
	"github.com/sessionwheel/sessionwheel/lab/bench/report"
)

// fixed returns figures for every chart.
func fixed() report.Results {
	var rs report.Results
	for _, w := range measure.Workloads() {
		for i, impl := range w.Impls() {
			for _, size := range []int{1000, 1_000_000} {
				r := measure.Result{Case: measure.Case{Workload: w.Name, Impl: impl.Name, Size: size}, Metrics: make(map[string]float64)}
				for _, m := range w.Metrics {
					r.Metrics[m.Name] = float64(size/500) * float64(i+1)
				}
				r.Series = map[string][]float64{"ms late": {-5, 0, 1, 10, 990}, "longest µs": {1, 2, 0, 500_000}}
				rs = append(rs, r)
			}
		}
	}
	return rs
}

// colorInStyle matches the colors of drawn elements, and not the rules of a style
// element.
var colorInStyle = regexp.MustCompile(`style="[^"]*(?:fill|stroke):#([0-9A-F]{6})`)

// checkSVG fails the test unless the file is well-formed and gives each of its
// colors a dark counterpart.
func checkSVG(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
	}
	if n := bytes.Count(text, []byte(darkStyle())); n != 1 {
		t.Errorf("%s has the dark style %d times", file, n)
	}
	colors := colorInStyle.FindAllSubmatch(text, -1)
	if len(colors) == 0 {
		t.Errorf("%s has no colors", file)
	}
	known := make(map[string]bool)
	for _, c := range allShades() {
		known[fmt.Sprintf("%06X", c.light)] = true
	}
	for _, c := range colors {
		if !known[string(c[1])] {
			t.Errorf("%s: #%s has no dark counterpart", file, c[1])
		}
	}
}

func TestWrite_DrawsEachChartAsSVGAndPNG(t *testing.T) {
	dir := t.TempDir()
	files, err := Write(dir, fixed())
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2*len(charts) {
		t.Errorf("%d files of %d charts", len(files), len(charts))
	}
	for _, c := range charts {
		checkSVG(t, filepath.Join(dir, c.name+".svg"))
		picture, err := os.ReadFile(filepath.Join(dir, c.name+".png"))
		if err != nil {
			t.Error(err)
			continue
		}
		if img, err := png.Decode(bytes.NewReader(picture)); err != nil || img.Bounds().Dx() < 600 {
			t.Errorf("%s.png: %v", c.name, err)
		}
	}
}

func TestHigherIsBetter_DecidesWhatABarChartHasOnTop(t *testing.T) {
	if !higherIsBetter("echo", "frames/s") || higherIsBetter("idle-connections", "bytes/connection") {
		t.Error("frames per second are to be many, and bytes of a connection few")
	}
}

func TestBarLabel_HasNoExponent(t *testing.T) {
	for v, want := range map[float64]string{0.25: "0.25", 12.3456: "12.35", 685.21: "685.2", 19816.4: "19816", 250_000: "250000"} {
		if got := barLabel(v); got != want {
			t.Errorf("%v is labelled %q, not %q", v, got, want)
		}
	}
}

func TestMeasured_TakesTheLargestSizeOfThoseWithMostImplementations(t *testing.T) {
	at := func(impl string, size int, v float64) measure.Result {
		return measure.Result{Case: measure.Case{Workload: "echo", Impl: impl, Size: size}, Metrics: map[string]float64{"frames/s": v}}
	}
	rs := report.Results{at("net", 0, 1), at("gnet", 0, 2), at("net", 9, 4), at("gnet", 9, 3), at("net", 10, 5)}
	size, of := measured(rs, "echo", "frames/s")
	if size != 9 || len(of) != 2 || of[0].impl != "net" || of[1].f.Median != 3 {
		t.Errorf("size %d, %+v", size, of)
	}
}

func TestWrite_LeavesOutChartsWithoutFigures(t *testing.T) {
	rs := slices.DeleteFunc(fixed(), func(r measure.Result) bool { return r.Workload != "memory" })
	files, err := Write(t.TempDir(), rs)
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
}

// The README shows these charts of a full run.
func TestDarkStyle_IsInTheChartsOfTheDocs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "docs", "bench", "*.svg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no charts: %v", err)
	}
	for _, file := range files {
		checkSVG(t, file)
	}
}

func TestDarkStyle_HasContrast(t *testing.T) {
	for _, c := range allShades() {
		if c == backgroundColor {
			continue
		}
		if ratio := contrast(c.dark, backgroundColor.dark); ratio < 4.5 {
			t.Errorf("#%06x on a dark page has a contrast of %.1f", c.dark, ratio)
		}
	}
}

// contrast returns the contrast ratio of WCAG 2, for a lighter and a darker
// color.
func contrast(lighter, darker uint32) float64 {
	return (luminance(lighter) + 0.05) / (luminance(darker) + 0.05)
}

func luminance(v uint32) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(v>>(16-8*i)&0xff) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestTicks_HaveShortLabels(t *testing.T) {
	for v, want := range map[float64]string{0.1: "0.1", 10: "10", 1000: "1k", 1e7: "10M"} {
		if got := shortNumber(v); got != want {
			t.Errorf("%v is labelled %q", v, got)
		}
	}
	for _, tick := range (decadeTicks{}).Ticks(2.9, 4) {
		if tick.Value < 2.9 || tick.Value > 4.0001 || tick.Label != "" && tick.Label != "1k" && tick.Label != "10k" {
			t.Errorf("there is a tick %+v", tick)
		}
	}
	for x, want := range map[float64]float64{0: 0, -9: -1, 99: 2} {
		if got := symlog(x); got != want {
			t.Errorf("symlog(%s) = %v", strconv.FormatFloat(x, 'g', -1, 64), got)
		}
	}
}
