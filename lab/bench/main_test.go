package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionwheel/sessionwheel/lab/bench/report"
	"github.com/sessionwheel/sessionwheel/lab/bench/run"
	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// TestMain lets the program start this binary again, as it starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == run.CaseCommand || os.Args[1] == works.ServeCommand) {
		main()
	}
	os.Exit(m.Run())
}

func call(args ...string) (status int, out, errs string) {
	var o, e strings.Builder
	status = execute(args, stdio{strings.NewReader(""), &o, &e})
	return status, o.String(), e.String()
}

func TestAComparisonIsShownAndWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	status, out, errs := call("--quick", "--only", "^(touch-hot|idle-connections)$", "--impl", "^(clock.CAS|net)$",
		"--rounds", "1", "--size", "10", "--out", dir)
	if status != 0 {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	for _, want := range []string{
		" cores, sizes 10", "touch-hot, 10 sessions", "clock+CAS",
		"idle-connections, 10 connections", "goals", "2 charts",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	if !strings.Contains(errs, "1/4 touch-hot 10, round 1, sessionwheel: ") {
		t.Errorf("the progress is\n%s", errs)
	}
	d, err := report.Read(filepath.Join(dir, "results.json"))
	if err != nil || len(d.Results) != 4 || !d.Complete {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, file := range []string{"results.csv", "server-memory.svg", "server-memory.png"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
	again := t.TempDir()
	if status, out, errs := call("charts", filepath.Join(dir, "results.json"), "--out", again); status != 0 || !strings.Contains(out, again) {
		t.Errorf("charts: status %d: %s%s", status, out, errs)
	}
}

func TestTheListSaysHowEachIsUsed(t *testing.T) {
	status, out, _ := call("list")
	for _, want := range []string{"touch-hot: ", "RussellLuo/timingwheel v0.0.0-2022", "wheel.Timer.Reset", "SetReadDeadline"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	if status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for want, args := range map[string][]string{
		"--only":    {"--only", "("},
		"--impl":    {"--impl", "("},
		"--rounds":  {"--rounds=-1"},
		"--size":    {"--size=-1"},
		"--nothing": {"--nothing"},
		"no work":   {"--only", "xyz"},
	} {
		if status, _, errs := call(args...); status == 0 || !strings.Contains(errs, want) {
			t.Errorf("%v: status %d, %q", args, status, errs)
		}
	}
}
