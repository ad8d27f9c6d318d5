package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// measured returns a result of touch.
func measured(impl string, size, round int, ns float64) measure.Result {
	return measure.Result{
		Case: measure.Case{Workload: "touch", Impl: impl, Size: size}, Round: round,
		Metrics: map[string]float64{"ns/op": ns, "allocs/op": 0.001},
	}
}

// fixed returns two rounds of touch, the second on a machine half as fast.
func fixed() Results {
	return Results{
		measured(measure.Ours, 1000, 0, 40), measured("plain", 1000, 0, 400),
		measured(measure.Ours, 1000, 1, 80), measured("plain", 1000, 1, 1000),
		{Case: measure.Case{Workload: "touch", Impl: "otter", Size: 1000}, Skipped: measure.TooLong},
		{Case: measure.Case{Workload: "touch", Impl: "sweep", Size: 1000}, Skipped: "it has no timers"},
		{Case: measure.Case{Workload: "touch", Impl: "ttlcache", Size: 1000}, Skipped: measure.TooLong},
		{Case: measure.Case{Workload: "touch", Impl: "go-zero", Size: 1000}, Error: "it broke"},
	}
}

// contains fails the test unless text has each of the wanted parts.
func contains(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("there is no %q in\n%s", w, text)
		}
	}
}

func TestFigure_IsTheMedianAndTheSpread(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   Figure
	}{
		{[]float64{3}, Figure{3, 3, 3, 1}},
		{[]float64{3, 1, 2}, Figure{2, 1, 3, 3}},
		{[]float64{4, 1, 2, 3}, Figure{2.5, 1, 4, 4}},
	} {
		if got, ok := figure(tt.values); !ok || got != tt.want {
			t.Errorf("%v: %+v, %v", tt.values, got, ok)
		}
	}
	if _, ok := figure(nil); ok {
		t.Error("there is a figure of no values")
	}
}

func TestRatio_IsTakenWithinARound(t *testing.T) {
	f, ok := fixed().Ratio("touch", 1000, measure.Ours, "ns/op", "plain", "ns/op")
	if !ok || f.Min != 0.08 || f.Max != 0.1 || f.N != 2 {
		t.Errorf("%+v, %v", f, ok)
	}
	if _, ok := fixed().Ratio("touch", 1000, measure.Ours, "ns/op", "otter", "ns/op"); ok {
		t.Error("there is a ratio to a case that was left out")
	}
}

func TestTable_HasARowForEachImplementationThatWasMeasured(t *testing.T) {
	var out strings.Builder
	if err := Table(&out, fixed()); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	contains(t, text,
		"cores, sizes 1k",
		"touch, 1k sessions re-arm",
		"sessionwheel 60.0 40.0..80.0 1",
		"plain 700.0 400.0..1000.0 0.09 (0.08..0.10)",
		"failed: it broke (go-zero)",
	)
	for _, skipped := range []string{"otter", "sweep", "ttlcache"} {
		if strings.Contains(text, skipped) {
			t.Errorf("%s was left out and is in\n%s", skipped, out.String())
		}
	}
}

func TestLeftOut_IsOneLineUnlessVerbose(t *testing.T) {
	const summary = "\n3 cases were left out: 2 to keep the run short, 1 that the implementation does not support"
	for _, tt := range []struct {
		name    string
		rs      Results
		verbose bool
		want    string
	}{
		{"one line", fixed(), false, summary + "; --verbose lists them\n"},
		{"verbose", fixed(), true, summary + "\n" +
			"  touch, 1k: " + measure.TooLong + " (otter, ttlcache)\n" +
			"  touch, 1k: it has no timers (sweep)\n"},
		{"one case", fixed()[5:6], false, "\n1 case was left out: 1 that the implementation does not support; --verbose lists them\n"},
		{"none", fixed()[:4], true, ""},
	} {
		var out strings.Builder
		if err := LeftOut(&out, tt.rs, tt.verbose); err != nil || out.String() != tt.want {
			t.Errorf("%s: %v, %q", tt.name, err, out.String())
		}
	}
}

func TestEvaluate_GoesByTheMedian(t *testing.T) {
	goal := Goal{Workload: "touch", Metric: "ns/op", Over: "plain", Bound: 0.1}
	for _, tt := range []struct {
		name              string
		change            func(*Goal)
		measured, reached bool
	}{
		{"reached", func(*Goal) {}, true, true},
		{"missed", func(g *Goal) { g.Bound = 0.05 }, true, false},
		{"at least", func(g *Goal) { g.AtLeast = true }, true, false},
		{"another size than the goal's", func(g *Goal) { g.Size = 5 }, true, true},
		{"at each size", func(g *Goal) { g.Size = -1 }, true, true},
		{"not measured", func(g *Goal) { g.Workload = "steady" }, false, false},
		{"the measurement's own allocations", func(g *Goal) { g.Metric, g.Over, g.Bound = "allocs/op", "", 0 }, true, true},
	} {
		g := goal
		tt.change(&g)
		v := Evaluate(fixed(), []Goal{g})[0]
		if v.Measured != tt.measured || v.Reached != tt.reached || v.OtherSize != (g.Size == 5) {
			t.Errorf("%s: %+v", tt.name, v)
		}
	}
}

func TestEvaluate_IsUnclearWhenTheRoundsDisagree(t *testing.T) {
	for bound, want := range map[float64]bool{0.05: false, 0.09: true, 0.2: false} { // the rounds gave 0.08 and 0.1
		v := Evaluate(fixed(), []Goal{{Workload: "touch", Metric: "ns/op", Over: "plain", Bound: bound}})[0]
		if v.Unclear != want {
			t.Errorf("with a bound of %v: %+v", bound, v)
		}
	}
}

func TestGoals_NameWorkloadsAndMetricsThatExist(t *testing.T) {
	for _, g := range Goals() {
		w, err := measure.WorkloadByName(g.Workload)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, ok := w.Metric(g.Metric); !ok {
			t.Errorf("%s has no %q", g.Workload, g.Metric)
		}
		known := g.Over == ""
		for _, impl := range w.Impls() {
			known = known || impl.Name == g.Over && impl.Unsupported == ""
		}
		if !known {
			t.Errorf("%s: %q does not support it", g.Workload, g.Over)
		}
	}
}

func TestGoalTable_ShowsWhatIsReached(t *testing.T) {
	goals := []Goal{
		{Workload: "touch", Metric: "ns/op", Over: "plain", Bound: 0.2},
		{Workload: "touch", Metric: "ns/op", Over: "plain", Bound: 0.09},
		{Workload: "touch", Metric: "ns/op", Over: "plain", Bound: 0.01},
		{Workload: "steady", Metric: "CPU ms/s", Bound: 1},
		{Workload: "touch", Size: million, Metric: "ns/op", Over: "plain", Bound: 0.1},
	}
	rows := []string{"  reached ", "  unclear ", "  missed ", "0.09", "at most 0.2 of plain", "1k (the goal is for 1M)"}
	for _, verbose := range []bool{false, true} {
		var out strings.Builder
		if err := GoalTable(&out, Evaluate(fixed(), goals), verbose); err != nil {
			t.Fatal(err)
		}
		contains(t, out.String(), rows...)
		if row := strings.Contains(out.String(), "steady: CPU ms/s"); row != verbose {
			t.Errorf("verbose is %v; a row for a goal that was not measured: %v", verbose, row)
		}
		if line := strings.Contains(out.String(), "\ngoals not measured: 1 of 5; --verbose lists them\n"); line == verbose {
			t.Errorf("verbose is %v, and the output is\n%s", verbose, out.String())
		}
	}
	var none strings.Builder
	if err := GoalTable(&none, Evaluate(fixed(), goals[3:4]), false); err != nil || strings.Contains(none.String(), "min..max") {
		t.Errorf("there is a table without rows: %v\n%s", err, none.String())
	}
}

func TestDocument_HoldsTheResults(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	rs := fixed()
	if err := NewDocument(rs, Evaluate(rs, Goals()), true, true).Write(dir); err != nil {
		t.Fatal(err)
	}
	d, err := Read(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Results) != len(rs) || d.Results[2].Metrics["ns/op"] != 80 || d.Results[2].Round != 1 || !d.Quick || d.Cores < 1 {
		t.Errorf("%+v", d)
	}
	csv, err := os.ReadFile(filepath.Join(dir, "results.csv"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(csv),
		"workload,size,round,implementation,metric,value,note\n",
		"touch,1000,2,plain,ns/op,1000,\n",
		"touch,1000,1,sweep,,,it has no timers\n",
	)
}
