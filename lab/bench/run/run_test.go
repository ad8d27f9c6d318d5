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

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// TestMain lets Run start this binary again to make a measurement.
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
		c := works.Case{Work: os.Args[2], Impl: os.Args[3], Size: size, Span: time.Millisecond}
		if err := works.Tell(os.Stdout, works.Run(context.Background(), c)); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAPlanAlternatesTheImplementations(t *testing.T) {
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

func TestAPlanSaysOnceWhatIsLeftOut(t *testing.T) {
	steps, err := Plan(Config{})
	if err != nil {
		t.Fatal(err)
	}
	skipped := make(map[works.Case]int)
	for _, s := range steps {
		if s.Limit <= 0 {
			t.Errorf("%+v has no limit", s)
		}
		if s.Skip != "" {
			skipped[s.Case]++
		}
	}
	if len(skipped) == 0 {
		t.Error("nothing is skipped")
	}
	for c, n := range skipped {
		if n != 1 {
			t.Errorf("%+v is skipped %d times", c, n)
		}
	}
}

func TestAPlanOfNothingIsAnError(t *testing.T) {
	if _, err := Plan(Config{Only: regexp.MustCompile("nothing")}); err == nil {
		t.Error("Plan found something")
	}
}

// told collects what Run tells.
type told struct{ results []works.Result }

func (*told) Begin(Step)                   {}
func (p *told) End(_ Step, r works.Result) { p.results = append(p.results, r) }

func TestEachStepRunsInAProcessOfItsOwn(t *testing.T) {
	touch := works.Case{Work: "touch-hot", Impl: works.Ours, Size: 1}
	steps := []Step{
		{Case: touch, Limit: time.Minute},
		{Case: touch, Limit: time.Minute, Skip: "no time"},
		{Case: works.Case{Work: "touch-hot", Impl: works.Ours, Size: -1}, Limit: time.Minute},
		{Case: works.Case{Work: "stuck", Impl: works.Ours, Size: 1}, Limit: 50 * time.Millisecond},
	}
	p := new(told)
	results, err := Run(t.Context(), steps, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 4 || len(p.results) != 4 {
		t.Fatalf("%d results, %d told", len(results), len(p.results))
	}
	if r := results[0]; r.Metrics["ns/op"] <= 0 || r.How == "" || r.Error != "" {
		t.Errorf("a measurement gave %+v", r)
	}
	if r := results[1]; r.NA != "no time" || r.How == "" {
		t.Errorf("a skipped one gave %+v", r)
	}
	if r := results[2]; !strings.Contains(r.Error, "panic: no size") {
		t.Errorf("a failed one gave %+v", r)
	}
	if r := results[3]; !strings.Contains(r.Error, "not through after 50ms") {
		t.Errorf("a stuck one gave %+v", r)
	}
	if _, err := json.Marshal(results); err != nil {
		t.Error(err)
	}
}

func TestAnInterruptedRunKeepsWhatThereIs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	touch := works.Case{Work: "touch-hot", Impl: works.Ours, Size: 1}
	steps := []Step{{Case: touch, Skip: "no time"}, {Case: works.Case{Work: "stuck", Impl: works.Ours, Size: 1}, Limit: time.Minute}}
	time.AfterFunc(100*time.Millisecond, cancel)
	results, err := Run(ctx, steps, new(told))
	if !errors.Is(err, context.Canceled) || len(results) != 1 {
		t.Errorf("%d results, %v", len(results), err)
	}
}

func TestProgressOffATerminalIsALineForEach(t *testing.T) {
	var out strings.Builder
	p, end := NewProgress(&out, 2)
	s := Step{Case: works.Case{Work: "touch", Impl: works.Ours, Size: 7}}
	p.Begin(s)
	p.End(s, works.Result{Case: s.Case, Metrics: map[string]float64{"ns/op": 12.34}})
	p.End(s, works.Result{Case: s.Case, NA: "it cannot"})
	end()
	want := "1/2 touch 7, round 1, sessionwheel: 12.3 ns/op\n2/2 touch 7, round 1, sessionwheel: n/a: it cannot\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
}
