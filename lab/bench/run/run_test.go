package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// TestMain lets Run start this binary to make a measurement.
func TestMain(m *testing.M) {
	if len(os.Args) > 4 && os.Args[1] == CaseCommand {
		if os.Args[2] == "stuck" {
			time.Sleep(time.Hour)
		}
		size, err := strconv.Atoi(os.Args[4])
		if err != nil || size < 0 {
			fmt.Fprintln(os.Stderr, "panic: no size")
			os.Exit(2)
		}
		c := measure.Case{Workload: os.Args[2], Impl: os.Args[3], Size: size, Span: time.Millisecond}
		if err := measure.WriteResult(os.Stdout, measure.Run(context.Background(), c)); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestPlan_AlternatesTheImplementations(t *testing.T) {
	steps, err := Plan(Config{Quick: true, Only: regexp.MustCompile("^touch-hot$"), Rounds: 2, Impl: regexp.MustCompile("plain")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range steps {
		got = append(got, fmt.Sprintf("%s/%d", s.Impl, s.Round))
	}
	if want := "sessionwheel/0 plain/0 sessionwheel/1 plain/1"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestPlan_ListsEachSkippedCaseOnce(t *testing.T) {
	steps, err := Plan(Config{})
	if err != nil {
		t.Fatal(err)
	}
	skipped := make(map[measure.Case]int)
	for _, s := range steps {
		if s.Limit <= 0 {
			t.Errorf("%+v has no limit", s)
		}
		if s.Skip != "" {
			skipped[s.Case]++
		}
	}
	if len(skipped) == 0 {
		t.Error("no case is skipped")
	}
	for c, n := range skipped {
		if n != 1 {
			t.Errorf("%+v is skipped %d times", c, n)
		}
	}
}

func TestPlan_OfNothingIsAnError(t *testing.T) {
	if _, err := Plan(Config{Only: regexp.MustCompile("nothing")}); err == nil {
		t.Error("Plan returned no error")
	}
}

// recorder is a Progress that records its calls.
type recorder struct {
	begun   []Step
	results []measure.Result
}

func (r *recorder) Begin(s Step)                   { r.begun = append(r.begun, s) }
func (r *recorder) End(_ Step, res measure.Result) { r.results = append(r.results, res) }

func TestRun_MakesEachMeasurementInAProcessOfItsOwn(t *testing.T) {
	touch := measure.Case{Workload: "touch-hot", Impl: measure.Ours, Size: 1}
	steps := []Step{
		{Case: touch, Limit: time.Minute},
		{Case: touch, Limit: time.Minute, Skip: "no time"},
		{Case: measure.Case{Workload: "touch-hot", Impl: measure.Ours, Size: -1}, Limit: time.Minute},
		{Case: measure.Case{Workload: "stuck", Impl: measure.Ours, Size: 1}, Limit: 50 * time.Millisecond},
	}
	p := new(recorder)
	results, err := Run(t.Context(), steps, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 4 {
		t.Fatalf("%d results", len(results))
	}
	if len(p.begun) != 3 || len(p.results) != 3 {
		t.Errorf("progress saw %d begin and %d end, with a skipped case among 4", len(p.begun), len(p.results))
	}
	if r := results[0]; r.Metrics["ns/op"] <= 0 || r.How == "" || r.Error != "" {
		t.Errorf("a measurement gave %+v", r)
	}
	if r := results[1]; r.Skipped != "no time" || r.How == "" {
		t.Errorf("a skipped case gave %+v", r)
	}
	if r := results[2]; !strings.Contains(r.Error, "panic: no size") {
		t.Errorf("a process that failed gave %+v", r)
	}
	if r := results[3]; !strings.Contains(r.Error, "killed after 50ms") {
		t.Errorf("a process that hung gave %+v", r)
	}
	if _, err := json.Marshal(results); err != nil {
		t.Error(err)
	}
}

func TestRun_ReturnsTheResultsSoFarWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	touch := measure.Case{Workload: "touch-hot", Impl: measure.Ours, Size: 1}
	steps := []Step{{Case: touch, Skip: "no time"}, {Case: measure.Case{Workload: "stuck", Impl: measure.Ours, Size: 1}, Limit: time.Minute}}
	time.AfterFunc(100*time.Millisecond, cancel)
	results, err := Run(ctx, steps, new(recorder))
	if !errors.Is(err, context.Canceled) || len(results) != 1 {
		t.Errorf("%d results, %v", len(results), err)
	}
}

func TestNewProgress_PrintsALineForEachMeasurementOffATerminal(t *testing.T) {
	var out strings.Builder
	s := Step{Case: measure.Case{Workload: "touch", Impl: measure.Ours, Size: 7}}
	p, stop := NewProgress(&out, []Step{s, {Skip: "no time"}, s})
	p.Begin(s)
	p.End(s, measure.Result{Case: s.Case, Metrics: map[string]float64{"ns/op": 12.34}})
	p.End(s, measure.Result{Case: s.Case, Error: "it broke"})
	stop()
	want := "1/2 touch 7, round 1, sessionwheel: 12.3 ns/op\n2/2 touch 7, round 1, sessionwheel: failed: it broke\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
}
