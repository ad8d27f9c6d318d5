package measure

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the workloads start this binary as a server.
func TestMain(m *testing.M) {
	if name := os.Getenv(serveEnv); name != "" {
		if err := Serve(name, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "24"); err != nil { // most cases wait for a deadline
		panic(err)
	}
	os.Exit(m.Run())
}

func TestRun_MeasuresEveryCaseAtATinySize(t *testing.T) {
	for _, w := range Workloads() {
		for _, impl := range w.Impls() {
			t.Run("workload="+w.Name+"/impl="+impl.Name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r := Run(ctx, Case{Workload: w.Name, Impl: impl.Name, Size: 20, Span: 40 * time.Millisecond})
				if r.Error != "" {
					t.Fatal(r.Error)
				}
				if r.How == "" {
					t.Error("How is empty")
				}
				if impl.Unsupported != "" {
					if r.Skipped != impl.Unsupported || r.Metrics != nil {
						t.Errorf("it is unsupported, and gave %+v", r)
					}
					return
				}
				for _, m := range w.Metrics {
					if _, ok := r.Metrics[m.Name]; !ok {
						t.Errorf("there is no %q in %v", m.Name, r.Metrics)
					}
				}
			})
		}
	}
}

func TestRun_TakesTheFiguresOfIdleConnectionsFromTheServer(t *testing.T) {
	for workload, metrics := range map[string][]string{
		"idle-gc":          {"CPU µs/GC", "pause µs/GC"},
		"idle-connections": {"bytes/connection"},
		"idle-tls":         {"bytes/connection"},
		"wake":             {"p99 µs", "p50 µs", "active p99 µs", "active p50 µs"},
	} {
		t.Run("workload="+workload, func(t *testing.T) {
			t.Parallel()
			r := Run(t.Context(), Case{Workload: workload, Impl: "net", Size: 50, Span: time.Millisecond})
			for _, m := range metrics {
				if r.Metrics[m] <= 0 {
					t.Errorf("%s is %v (%s)", m, r.Metrics[m], r.Error)
				}
			}
			if later := r.Metrics["p99 µs"] - r.Metrics["active p99 µs"]; math.Abs(r.Metrics["p99 µs later"]-later) > 0.01 {
				t.Errorf("p99 µs later is %v, not %v", r.Metrics["p99 µs later"], later)
			}
		})
	}
}

func TestRun_ReportsUnknownNames(t *testing.T) {
	for _, c := range []Case{{Workload: "unknown", Impl: Ours}, {Workload: "touch", Impl: "unknown"}} {
		if r := Run(t.Context(), c); !strings.Contains(r.Error, `"unknown"`) {
			t.Errorf("%+v gave %+v", c, r)
		}
	}
}

func TestWorkloads_NameImplementationsThatExist(t *testing.T) {
	for _, w := range Workloads() {
		known := make(map[string]bool)
		for _, impl := range w.Impls() {
			known[impl.Name] = true
		}
		for _, s := range []Scale{w.Full, w.Quick} {
			if s.Rounds < 1 || len(s.Sizes) == 0 {
				t.Errorf("%s: %+v", w.Name, s)
			}
			for _, size := range s.Sizes {
				if size < w.MinSize {
					t.Errorf("%s: size %d is below the minimum of %d", w.Name, size, w.MinSize)
				}
			}
			for size, names := range s.Only {
				for _, name := range names {
					if !known[name] {
						t.Errorf("%s at %d: there is no %q", w.Name, size, name)
					}
				}
			}
		}
	}
}

func TestFindResult_IgnoresOtherOutput(t *testing.T) {
	var out strings.Builder
	out.WriteString("a logo\n")
	want := Result{Case: Case{Workload: "touch", Impl: Ours, Size: 3}, Metrics: map[string]float64{"ns/op": 1}}
	if err := WriteResult(&out, want); err != nil {
		t.Fatal(err)
	}
	out.WriteString("goodbye\n")
	got, ok := FindResult(out.String())
	if !ok || got.Size != 3 || got.Metrics["ns/op"] != 1 {
		t.Errorf("FindResult returned %+v, %v", got, ok)
	}
	if _, ok := FindResult("a logo\n"); ok {
		t.Error("FindResult found a result where there is none")
	}
}

func TestRandomIDs_StayBelowNAndVisitMost(t *testing.T) {
	for _, n := range []int{1, 7, 5000} {
		ids := newRandomIDs(n, 1)
		seen := make(map[int64]bool)
		for range 3 * len(ids.order) {
			i := ids.next()
			if i < 0 || i >= int64(n) {
				t.Fatalf("ID %d of %d", i, n)
			}
			seen[i] = true
		}
		if len(seen) < n*9/10 {
			t.Errorf("%d of %d IDs came up", len(seen), n)
		}
	}
}

func TestCoprimeStride_VisitsAll(t *testing.T) {
	for _, n := range []int{1, 2, 10, 1000} {
		if s := coprimeStride(n); gcd(s, n) != 1 {
			t.Errorf("coprimeStride(%d) = %d", n, s)
		}
	}
}
