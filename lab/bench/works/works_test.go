package works

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the works start this binary again as a server.
func TestMain(m *testing.M) {
	if name := os.Getenv(serveEnv); name != "" {
		if err := Serve(name, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestEveryCaseRunsAtATinySize(t *testing.T) {
	for _, w := range All() {
		for _, impl := range w.Impls() {
			t.Run("work="+w.Name+"/impl="+impl.Name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				r := Run(ctx, Case{Work: w.Name, Impl: impl.Name, Size: 20, Span: 40 * time.Millisecond})
				if r.Error != "" {
					t.Fatal(r.Error)
				}
				if impl.Not != "" {
					if r.NA != impl.Not || r.Metrics != nil {
						t.Errorf("it cannot do this, and gave %+v", r)
					}
					return
				}
				for _, m := range w.Metrics {
					if _, ok := r.Metrics[m.Name]; !ok {
						t.Errorf("there is no %q in %v", m.Name, r.Metrics)
					}
				}
				if r.How == "" {
					t.Error("it does not say how")
				}
			})
		}
	}
}

func TestWhatCannotBeRunIsAnError(t *testing.T) {
	for _, c := range []Case{{Work: "nothing", Impl: Ours}, {Work: "touch", Impl: "nobody"}} {
		if r := Run(t.Context(), c); r.Error == "" {
			t.Errorf("%+v gave %+v", c, r)
		}
	}
}

func TestWorksNameImplementationsThatExist(t *testing.T) {
	for _, w := range All() {
		known := make(map[string]bool)
		for _, impl := range w.Impls() {
			known[impl.Name] = true
		}
		for _, s := range []Scale{w.Full, w.Quick} {
			if s.Rounds < 1 || len(s.Sizes) == 0 {
				t.Errorf("%s: %+v", w.Name, s)
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

func TestToldSkipsWhatOthersPrint(t *testing.T) {
	var out strings.Builder
	out.WriteString("a logo\n")
	want := Result{Case: Case{Work: "touch", Impl: Ours, Size: 3}, Metrics: map[string]float64{"ns/op": 1}}
	if err := Tell(&out, want); err != nil {
		t.Fatal(err)
	}
	out.WriteString("goodbye\n")
	got, ok := Told(out.String())
	if !ok || got.Size != 3 || got.Metrics["ns/op"] != 1 {
		t.Errorf("Told gave %+v, %v", got, ok)
	}
	if _, ok := Told("nothing for anybody\n"); ok {
		t.Error("Told found a result in nothing")
	}
}

func TestAWalkStaysWithinBoundsAndMovesOn(t *testing.T) {
	for _, n := range []int{1, 7, 5000} {
		w := newWalk(n, 1)
		seen := make(map[int64]bool)
		for range 3 * len(w.order) {
			i := w.next()
			if i < 0 || i >= int64(n) {
				t.Fatalf("%d of %d", i, n)
			}
			seen[i] = true
		}
		if len(seen) < n*9/10 {
			t.Errorf("it visited %d of %d", len(seen), n)
		}
	}
}

func TestAStrideVisitsAll(t *testing.T) {
	for _, n := range []int{1, 2, 10, 1000} {
		if s := coprime(n); gcd(s, n) != 1 {
			t.Errorf("coprime(%d) = %d", n, s)
		}
	}
}
