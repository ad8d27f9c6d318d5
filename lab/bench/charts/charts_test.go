package charts

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
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
		text, err := os.ReadFile(filepath.Join(dir, c.name+".svg"))
		if err != nil || !bytes.Contains(text, []byte("<svg")) {
			t.Errorf("%s.svg: %v", c.name, err)
		}
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

func TestWrite_LeavesOutChartsWithoutFigures(t *testing.T) {
	rs := slices.DeleteFunc(fixed(), func(r measure.Result) bool { return r.Workload != "memory" })
	files, err := Write(t.TempDir(), rs)
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
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
