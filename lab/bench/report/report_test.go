package report

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// measured is a measurement of touch.
func measured(impl string, size, round int, ns float64) works.Result {
	return works.Result{
		Case: works.Case{Work: "touch", Impl: impl, Size: size}, Round: round,
		Metrics: map[string]float64{"ns/op": ns, "allocs/op": 0.001},
	}
}

// fixed has two rounds of touch, the second on a machine that is half as fast.
func fixed() Results {
	return Results{
		measured(works.Ours, 1000, 0, 40), measured("plain", 1000, 0, 400),
		measured(works.Ours, 1000, 1, 80), measured("plain", 1000, 1, 1000),
		{Case: works.Case{Work: "touch", Impl: "otter", Size: 1000}, NA: "it does not matter"},
		{Case: works.Case{Work: "touch", Impl: "go-zero", Size: 1000}, Error: "it broke"},
	}
}

func TestAFigureIsTheMedianAndTheSpread(t *testing.T) {
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
		t.Error("there is a figure of nothing")
	}
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	f, ok := fixed().Ratio("touch", 1000, works.Ours, "ns/op", "plain", "ns/op")
	if !ok || f.Min != 0.08 || f.Max != 0.1 || f.N != 2 {
		t.Errorf("%+v, %v", f, ok)
	}
	if _, ok := fixed().Ratio("touch", 1000, works.Ours, "ns/op", "otter", "ns/op"); ok {
		t.Error("there is a ratio to nothing")
	}
}

func TestTheTableShowsEveryImplementation(t *testing.T) {
	var out strings.Builder
	if err := Table(&out, fixed()); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"cores, sizes 1k",
		"touch, 1k sessions:",
		"sessionwheel 60.0 40.0..80.0 1",
		"plain 700.0 400.0..1000.0 0.09 (0.08..0.10)",
		"n/a: it does not matter (otter)",
		"failed: it broke (go-zero)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
}

func TestGoalsAreJudgedByTheMedian(t *testing.T) {
	goal := Goal{Work: "touch", Metric: "ns/op", Over: "plain", Bound: 0.1}
	for _, tt := range []struct {
		name              string
		change            func(*Goal)
		measured, reached bool
	}{
		{"reached", func(*Goal) {}, true, true},
		{"missed", func(g *Goal) { g.Bound = 0.05 }, true, false},
		{"at least", func(g *Goal) { g.AtLeast = true }, true, false},
		{"a size that was not measured gives way", func(g *Goal) { g.Size = 5 }, true, true},
		{"at each size", func(g *Goal) { g.Size = -1 }, true, true},
		{"not measured", func(g *Goal) { g.Work = "steady" }, false, false},
		{"the measurement's own allocations", func(g *Goal) { g.Metric, g.Over, g.Bound = "allocs/op", "", 0 }, true, true},
	} {
		g := goal
		tt.change(&g)
		v := Judge(fixed(), []Goal{g})[0]
		if v.Measured != tt.measured || v.Reached != tt.reached || v.Elsewhere != (g.Size == 5) {
			t.Errorf("%s: %+v", tt.name, v)
		}
	}
}

func TestRoundsThatDisagreeMakeAGoalUnclear(t *testing.T) {
	for bound, want := range map[float64]bool{0.05: false, 0.09: true, 0.2: false} { // the rounds gave 0.08 and 0.1
		v := Judge(fixed(), []Goal{{Work: "touch", Metric: "ns/op", Over: "plain", Bound: bound}})[0]
		if v.Unclear != want {
			t.Errorf("with a bound of %v: %+v", bound, v)
		}
	}
}

func TestGoalsSpeakOfWorksAndFiguresThatExist(t *testing.T) {
	for _, g := range Goals() {
		w, err := works.ByName(g.Work)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, ok := w.Metric(g.Metric); !ok {
			t.Errorf("%s has no %q", g.Work, g.Metric)
		}
		known := g.Over == ""
		for _, impl := range w.Impls() {
			known = known || impl.Name == g.Over && impl.Not == ""
		}
		if !known {
			t.Errorf("%s: %q cannot do it", g.Work, g.Over)
		}
	}
}

func TestTheGoalTableSaysWhatIsReached(t *testing.T) {
	var out strings.Builder
	goals := []Goal{
		{Work: "touch", Metric: "ns/op", Over: "plain", Bound: 0.2},
		{Work: "touch", Metric: "ns/op", Over: "plain", Bound: 0.09},
		{Work: "touch", Metric: "ns/op", Over: "plain", Bound: 0.01},
		{Work: "steady", Metric: "CPU ms/s", Bound: 1},
		{Work: "touch", Size: million, Metric: "ns/op", Over: "plain", Bound: 0.1},
	}
	if err := GoalTable(&out, Judge(fixed(), goals)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"  reached ", "  unclear ", "NOT REACHED", "not measured", "0.09", "at most 0.2 of plain", "1k, and the goal is for 1M"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
}

func TestTheFilesHoldTheResults(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	rs := fixed()
	if err := NewDocument(rs, Judge(rs, Goals()), true, true).Write(dir); err != nil {
		t.Fatal(err)
	}
	d, err := Read(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Results) != len(rs) || d.Results[2].Metrics["ns/op"] != 80 || d.Results[2].Round != 1 || !d.Quick || d.Cores < 1 {
		t.Errorf("%+v", d)
	}
	var csv strings.Builder
	if err := CSV(&csv, rs); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"touch,1000,2,plain,ns/op,1000,\n", "touch,1000,1,otter,,,it does not matter\n"} {
		if !strings.Contains(csv.String(), want) {
			t.Errorf("there is no %q in\n%s", want, csv.String())
		}
	}
}
