package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain lets Run start this binary as a child.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == ChildCommand {
		c := Case{Fault: os.Args[2], Impl: os.Args[3], Short: len(os.Args) > 4}
		if err := Child(context.Background(), os.Stdout, c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most cases wait for deadlines
		panic(err)
	}
	os.Exit(m.Run())
}

// inject runs one case in short form.
func inject(t *testing.T, fault, impl string) Result {
	t.Helper()
	results, err := Run(t.Context(), []Case{{Fault: fault, Impl: impl, Short: true}}, func(Result) {})
	if err != nil || len(results) != 1 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	t.Logf("%s, %s: %s", fault, impl, Cell(results[0]))
	return results[0]
}

// maxLateness allows for a slow machine: a second is promised.
const maxLateness = 5000 // milliseconds

// requirePromises fails the test if a figure breaks a promise.
func requirePromises(t *testing.T, r Result) {
	t.Helper()
	if r.Died != "" || r.Hung != "" || r.Error != "" {
		t.Fatalf("%+v", r)
	}
	for _, key := range []string{early, lost, twice, hung, stops, wrong} {
		if r.Figures[key] != 0 {
			t.Errorf("%s: %g", key, r.Figures[key])
		}
	}
	if r.Figures[latest] > maxLateness {
		t.Errorf("the latest is %g ms late", r.Figures[latest])
	}
	if r.Figures[stalled] > 0 {
		t.Errorf("nothing fires after %g ms", r.Figures[stalled])
	}
}

func TestSessionwheel_KeepsItsPromisesUnderQuickFaults(t *testing.T) {
	for _, tt := range []struct {
		fault string
		has   map[string]float64 // figures that show that the fault was injected
	}{
		{"short-timers", map[string]float64{stalled: -1}},
		{"starved", map[string]float64{armed: 200}},
		{"blocked-40", map[string]float64{armed: 500}},
		{"panic-recovered", map[string]float64{armed: 100, recovered: 10}},
		{"reentry", map[string]float64{armed: 400}},
		{"million", map[string]float64{armed: 20_000}},
		{"centuries", map[string]float64{armed: 100}},
		{"smallest", map[string]float64{armed: 100}},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			r := inject(t, tt.fault, Ours)
			requirePromises(t, r)
			for key, v := range tt.has {
				if r.Figures[key] != v {
					t.Errorf("%s: %g, not %g", key, r.Figures[key], v)
				}
			}
		})
	}
}

func TestSessionwheel_ForgivesAFreeze(t *testing.T) {
	t.Parallel() // it waits, beside others that wait
	r := inject(t, "freeze", Ours)
	for again := 0; again < 2 && r.Figures[sendGap] > millis(freezeIdle/2); again++ { // the senders were starved
		r = inject(t, "freeze", Ours)
	}
	requirePromises(t, r)
	if r.Figures[senders] != 40 || r.Figures[silent] != 10 || r.Figures[frozen] < millis(freezeIdle) {
		t.Errorf("%v", r.Figures)
	}
	// Senders may survive without the grace period by luck, but the silent peers are
	// not closed before its end.
	if r.Figures[thaw] < 200 {
		t.Errorf("the silent peers were closed %g ms after the thaw", r.Figures[thaw])
	}
}

// A case that does no harm here would show that its fault is not injected.
func TestFault_DoesHarm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ fault, impl, died string }{
		{"panic", Ours, "the injected panic"},
		{"stop-twice", Plain, "close of closed channel"},
	} {
		t.Run(tt.fault+"/"+tt.impl, func(t *testing.T) {
			t.Parallel()
			if r := inject(t, tt.fault, tt.impl); !strings.Contains(r.Died, tt.died) {
				t.Errorf("%+v", r)
			}
		})
	}
	for _, tt := range []struct {
		fault, impl, key string
		least            float64
	}{
		{"centuries", Plain, early, 100},
		{"blocked-40", Sweep, lost, 250}, // a walk closes some before the first that blocks
	} {
		t.Run(tt.fault+"/"+tt.impl, func(t *testing.T) {
			t.Parallel()
			if r := inject(t, tt.fault, tt.impl); r.Figures[tt.key] < tt.least {
				t.Errorf("%s: %g, not %g: %+v", tt.key, r.Figures[tt.key], tt.least, r)
			}
		})
	}
}

func TestProcess_IsKilledAtItsLimit(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := Case{Fault: "quiet", Impl: Ours}
	p, err := start(t.Context(), exe, Fault{limit: 200 * time.Millisecond}, c)
	if err != nil {
		t.Fatal(err)
	}
	if r := p.end(Fault{limit: 200 * time.Millisecond}, c); !strings.Contains(r.Hung, "200ms") || r.Died != "" {
		t.Errorf("%+v", r)
	}
}

func TestRun_ReturnsTheResultsSoFarWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cases := []Case{{Fault: "stop-twice", Impl: Ours, Short: true}, {Fault: "centuries", Impl: Ours}, {Fault: "quiet", Impl: Ours}}
	results, err := Run(ctx, cases, func(Result) {
		time.AfterFunc(100*time.Millisecond, cancel)
	})
	if !errors.Is(err, context.Canceled) || len(results) != 1 {
		t.Errorf("%v, %v", results, err)
	}
}

func TestPlan_LeavesOutWhatDoesNotMatch(t *testing.T) {
	cases, err := Plan(Config{Only: regexp.MustCompile("^(quiet|freeze)$"), Impl: regexp.MustCompile("sweep|deadline")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range cases {
		got = append(got, c.Fault+" "+c.Impl)
	}
	want := "quiet sessionwheel,quiet sweep,freeze sessionwheel,freeze sweep,freeze read deadlines"
	if strings.Join(got, ",") != want {
		t.Errorf("%q", got)
	}
	if _, err := Plan(Config{Only: regexp.MustCompile("nothing like it")}); err == nil {
		t.Error("Plan returned no error")
	}
}

func TestChild_ReportsUnknownNames(t *testing.T) {
	for _, c := range []Case{{"no fault", Ours, true}, {"quiet", "unknown", true}} {
		if err := Child(t.Context(), os.Stdout, c); err == nil {
			t.Errorf("%+v gave no error", c)
		}
	}
	if r := (runner{}).run(t.Context(), Case{Fault: "no fault"}); r.Error == "" {
		t.Errorf("%+v", r)
	}
	if _, _, err := clockBack(t.Context(), Case{Impl: Ours}); !errors.Is(err, errClock) {
		t.Errorf("%v", err)
	}
}

func TestRecorder_CountsEarlyLostAndTwice(t *testing.T) {
	r := newRecorder(4)
	r.arm(0, time.Hour)
	r.arm(1, -time.Hour)
	r.arm(2, -time.Hour)
	for _, id := range []int64{0, 1, 1} {
		r.fire(id)
	}
	f := r.figures()
	if f[armed] != 3 || f[early] != 1 || f[lost] != 1 || f[twice] != 1 {
		t.Errorf("%v", f)
	}
	const hours = 3_600_000
	if math.Abs(f[earliest]-hours) > 60_000 || math.Abs(f[latest]-hours) > 60_000 {
		t.Errorf("%v", f)
	}
	if _, ok := newRecorder(1).figures()[latest]; ok {
		t.Error("there is a lateness although nothing fired")
	}
}

func TestCell_DescribesTheResult(t *testing.T) {
	for want, r := range map[string]Result{
		"—":                         {Skipped: "no timers"},
		`not measured: a \| b`:      {Error: "a | b"},
		"**the process dies: boo**": {Died: "boo"},
		"**killed: too long**":      {Hung: "too long"},
		"**3 of 1,000 early, by 12 ms at most**; none lost; the latest 2.5 s late; **1 closed twice**": {
			Case: Case{Fault: "quiet"}, Figures: Figures{armed: 1000, early: 3, earliest: 12, lost: 0, latest: 2500, twice: 1},
		},
		"3 of 1,000 early, by 9.0 ms at most; **7 of 1,000 lost**": {
			Case: Case{Fault: "quiet"}, Figures: Figures{armed: 1000, early: 3, earliest: 9, lost: 7},
		},
		"**1 of 2 senders closed**; **0 of 3 silent ones closed**": {
			Case: Case{Fault: "freeze"}, Figures: Figures{senders: 2, wrong: 1, silents: 3, silent: 0},
		},
		"nothing happens": {Case: Case{Fault: "stop-twice"}, Text: "nothing happens"},
	} {
		if got := Cell(r); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	for want, v := range map[string]float64{"9.9 ms": 9.9, "10 ms": 10, "1.0 s": 1000, "1.0 h": 3_600_000, "250 years": 250 * 365 * 24 * 3_600_000} {
		if got := formatMillis(v); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestTable_HasARowForEachFaultAndAColumnForEachImplementationThatRan(t *testing.T) {
	var out strings.Builder
	err := Table(&out, []Result{
		{Case: Case{Fault: "stop-twice", Impl: Ours}, Text: "fine"},
		{Case: Case{Fault: "stop-twice", Impl: Plain}, Died: "boo"},
		{Case: Case{Fault: "stop-twice", Impl: Sweep}, Skipped: "no timers"},
	})
	want := "| fault | sessionwheel | plain library |\n| --- | --- | --- |\n| `stop-twice` | fine | **the process dies: boo** |\n"
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestAll_DescribesEachFault(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range All() {
		if f.About == "" || f.run == nil || f.limit == 0 || seen[f.Name] {
			t.Errorf("%+v", f)
		}
		seen[f.Name] = true
		for name := range f.skip {
			if _, err := implByName(name); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestHeadBuffer_KeepsOnlyTheBeginning(t *testing.T) {
	var b headBuffer
	fmt.Fprint(&b, "panic: boo [recovered]\n")
	for range 3 {
		if n, err := b.Write(make([]byte, maxStderr)); n != maxStderr || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if b.Len() != maxStderr || failureText(b.String(), nil) != "panic: boo" {
		t.Errorf("%d bytes: %q", b.Len(), failureText(b.String(), nil))
	}
}
