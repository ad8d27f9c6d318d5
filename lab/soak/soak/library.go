package soak

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const libraryPath = "github.com/RussellLuo/timingwheel"

// faultyLibrary is a package with the library's names that works for a moment
// and then fails as the environment says.
//
//go:embed faulty.go.txt
var faultyLibrary string

// faultyQueue is its other package, of which the wheel uses this, and only if the library has it.
const faultyQueue = "package delayqueue\n\ntype DelayQueue struct{}\n\nfunc (*DelayQueue) Poll(chan struct{}, func() int64) {}\n"

// libraryFaults are the faults, and whether the wheel needs its watchdog to
// live with them.
var libraryFaults = []struct {
	name    string
	rescued bool
}{
	{"dead", true},
	{"stall", true},
	{"block", true},
	{"early", false},
	{"jump", false},
	{"hang", false},
}

// The child is a program with a faulty library in the place of the real one.
func libraryRound(ctx context.Context, r *Run) error {
	exe, err := r.builder.build(ctx, "library", "a program with a faulty timer library", prepareLibrary)
	if err != nil {
		return err
	}
	faults := libraryFaults
	if r.short {
		first := r.rand.IntN(3)
		faults = []struct {
			name    string
			rescued bool
		}{libraryFaults[first], libraryFaults[3+r.rand.IntN(3)]}
	}
	for _, fault := range faults {
		order := r.timersOrder()
		order.For, order.Waits = max(time.Second, order.For/3), 2
		rep, said, err := r.playTimers(ctx, exe, order, "SESSIONWHEEL_SOAK_FAULT="+fault.name)
		if err != nil {
			return err
		}
		if !strings.Contains(said, "library fault "+fault.name) {
			return fmt.Errorf("the child has not met the fault %q of its library; it said: %s", fault.name, said)
		}
		if err := rep.judge(r); err != nil {
			err.(*Broken).Seen += " (with the library's fault " + fault.name + ")"
			return err
		}
		switch {
		case rep.Load > mostLoad:
			return broken(noBusyLoop, "%.2f processors were busy, with the library's fault %s", rep.Load, fault.name)
		case fault.rescued && rep.Rescued == 0:
			return broken(rescues, "Stats.Rescued is 0, with the library's fault %s", fault.name)
		}
	}
	return nil
}

// prepareLibrary writes a go.mod that has the faulty library in the place of the real one.
// The library stands in the checkout, as far as the go command can tell: so it keeps what it
// has compiled for the next build.
func prepareLibrary(source, dir string) ([]string, error) {
	mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return nil, err
	}
	sum, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"faulty.mod": fmt.Sprintf("%s\nreplace %s => ./faultylibrary\n", mod, libraryPath),
		"faulty.sum": string(sum),
	} {
		if _, err := writeFile(dir, name, text); err != nil {
			return nil, err
		}
	}
	library := filepath.Join(source, "faultylibrary")
	overlay, err := overlay(dir, map[string]string{
		filepath.Join(library, "timingwheel.go"):              faultyLibrary,
		filepath.Join(library, "delayqueue", "delayqueue.go"): faultyQueue,
		filepath.Join(library, "go.mod"):                      "module " + libraryPath + "\n\ngo 1.23\n",
	})
	return []string{"-modfile", filepath.Join(dir, "faulty.mod"), "-overlay", overlay, "-tags", noCluster}, err
}
