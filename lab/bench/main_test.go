package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/cli"
	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
	"github.com/sessionwheel/sessionwheel/lab/bench/report"
	"github.com/sessionwheel/sessionwheel/lab/bench/run"
)

// asProgram has a test binary run the program in place of its tests.
const asProgram = "SESSIONWHEEL_BENCH_AS_PROGRAM"

// TestMain lets the program start this binary as it starts itself.
func TestMain(m *testing.M) {
	child := len(os.Args) > 1 && (os.Args[1] == run.CaseCommand || os.Args[1] == measure.ServeCommand)
	if child || os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func call(args ...string) (status int, out, errs string) {
	var o, e strings.Builder
	status = execute("bench", args, cli.Stdio{Out: &o, Err: &e})
	return status, o.String(), e.String()
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

func TestCompare_ShowsAndWritesTheResults(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	status, out, errs := call("--quick", "--only", "^(touch-hot|idle-connections|fan-out)$", "--impl", "^(clock.CAS|net)$",
		"--rounds", "1", "--size", "10", "--out", dir)
	if status != 0 {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	contains(t, out,
		" cores, sizes 10", "touch-hot, 10 sessions", "clock+CAS", "idle-connections, 10 connections", "fan-out, 10 subscribers",
		"\ngoals ", "\ngoals not measured: ", "2 charts are in "+dir)
	contains(t, errs, "1/5 touch-hot 10, round 1, sessionwheel: ")
	d, err := report.Read(filepath.Join(dir, "results.json"))
	if err != nil || len(d.Results) != 5 || !d.Complete {
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

func TestCompare_CountsWhatIsLeftOutAndListsItIfVerbose(t *testing.T) {
	args := []string{"--quick", "--only", "^arm-stop$", "--impl", "sweep|otter", "--rounds", "1", "--size", "10", "--out", t.TempDir()}
	const summary = "\n2 cases were left out: 2 that the implementation does not support"
	status, out, errs := call(args...)
	if status != 0 || !strings.Contains(out, summary+"; --verbose lists them\n") || strings.Contains(out+errs, "otter") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	status, out, errs = call(append(args, "--verbose")...)
	contains(t, out, summary+"\n", "arm-stop, 10: a sweep has no timers (sweep)\n", "  not measured  touch: ns/op at most ")
	if status != 0 {
		t.Errorf("status %d: %s", status, errs)
	}
}

func TestCompare_RefusesAWrongCommandLineBeforeItMeasures(t *testing.T) {
	t.Chdir(t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"--only is no regular expression":      {"--only", "("},
		"--only needs a value":                 {"--only"},
		`--only "xyz" matches no workload`:     {"--only", "xyz"},
		"the workloads are touch-hot, touch,":  {"--only", "xyz"},
		"--impl is no regular expression":      {"--impl", "("},
		`--impl "xyz" matches no impl`:         {"--impl", "xyz"},
		"--rounds is -1: use at least 1":       {"--rounds=-1"},
		"--rounds: expected a whole number":    {"--rounds", "many"},
		"--size is 0: touch-hot needs at leas": {"--size", "0"},
		"--size is -1: echo needs at least 0":  {"--only", "echo", "--size=-1"},
		"--out: mkdir " + file:                 {"--out", filepath.Join(file, "dir")},
		"--out is empty":                       {"--out="},
		"unknown flag --nothing":               {"--nothing"},
		`unknown command "lst": use list or`:   {"lst"},
		`(see "bench charts --help")`:          {"charts"},
		`(see "bench --help")`:                 {"--quick", "--only", "echo", "--impl", "xyz"},
	} {
		status, out, errs := call(args...)
		if status != cli.ExitUsage || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("%v: status %d, %q%q; there is no %q", args, status, out, errs, want)
		}
	}
}

func TestCompare_ChecksThatOutIsWritableBeforeItMeasures(t *testing.T) {
	dir := t.TempDir()
	if err := createOut(filepath.Join(dir, "a", "b")); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(filepath.Join(dir, "a", "b")); err != nil || len(files) != 0 {
		t.Errorf("the check left %v, %v", files, err)
	}
	unwritable := "/proc" // for root too
	if _, err := os.Stat(unwritable); err != nil {
		unwritable = dir
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if err := createOut(unwritable); err == nil || !strings.Contains(err.Error(), "--out: ") {
		t.Errorf("a directory that is not writable: %v", err)
	}
}

func TestHelp_ListsTheFlagsAndTheCommands(t *testing.T) {
	for program, want := range map[string]string{"bench": "Usage: bench [flags]", "sessionwheel bench": "Usage: sessionwheel bench [flags]"} {
		var out, errs strings.Builder
		status := execute(program, []string{"--help"}, cli.Stdio{Out: &out, Err: &errs})
		contains(t, out.String(), want, program+" list ", program+" charts ",
			"--quick ", "--only=REGEXP", "--impl=REGEXP", "--rounds=N", "--size=N,...", "--out=DIR", "--verbose ")
		if status != 0 || errs.Len() > 0 || strings.Contains(out.String(), run.CaseCommand) {
			t.Errorf("status %d: %s%s", status, errs.String(), out.String())
		}
	}
}

func TestProgramName_IsWhatTheUserTyped(t *testing.T) {
	for arg0, want := range map[string]string{
		"/tmp/go-build1/bench":          "bench",
		"/tmp/x/sessionwheel-bench":     "sessionwheel bench",
		"/tmp/x/sessionwheel-bench.exe": "sessionwheel bench",
	} {
		if got := programName(arg0); got != want {
			t.Errorf("%s is %q", arg0, got)
		}
	}
}

func TestList_SaysHowEachImplementationIsUsed(t *testing.T) {
	status, out, _ := call("list")
	contains(t, out, "touch-hot: ", "RussellLuo/timingwheel v0.0.0-2022", "wheel.Timer.Reset", "SetReadDeadline")
	if status != 0 {
		t.Errorf("status %d", status)
	}
}

// failingWriter fails each Write after the first n.
type failingWriter struct{ n int }

var errFull = errors.New("the disk is full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.n--; w.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestOutput_ThatCannotBeWrittenIsAnError(t *testing.T) {
	dir := t.TempDir()
	compare := []string{"--quick", "--only", "^touch-hot$", "--impl", "^sessionwheel$", "--rounds", "1", "--out", dir}
	for _, tt := range []struct {
		name string
		ok   int // writes that succeed
		args []string
	}{
		{"help", 0, []string{"--help"}},
		{"list", 3, []string{"list"}},
		{"tables", 0, compare},
		{"the end of the tables", 3, compare},
	} {
		var errs strings.Builder
		status := execute("bench", tt.args, cli.Stdio{Out: &failingWriter{tt.ok}, Err: &errs})
		if status != cli.ExitRuntime || !strings.Contains(errs.String(), errFull.Error()) {
			t.Errorf("%s: status %d: %s", tt.name, status, errs.String())
		}
	}
	if _, err := report.Read(filepath.Join(dir, "results.json")); err != nil {
		t.Errorf("the results are lost: %v", err)
	}
}

func TestOutput_ToAClosedPipeEndsNonZero(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "list")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout = w
	if err := cmd.Run(); err == nil {
		t.Error("the process succeeded")
	}
}

func TestCompare_ShowsAndWritesTheResultsSoFarWhenItIsInterrupted(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(exe, "--only", "^touch-hot$", "--rounds", "1000", "--out", dir)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var out strings.Builder
	cmd.Stdout = &out
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	var text strings.Builder
	for lines := bufio.NewScanner(errs); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if strings.HasPrefix(lines.Text(), "2/") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait() // the status is checked below
	if got := cmd.ProcessState.ExitCode(); got != cli.ExitInterrupted {
		t.Errorf("status %d: %s", got, text.String())
	}
	contains(t, text.String(), "bench: interrupted: ")
	contains(t, out.String(), "touch-hot, 1 session\n", "are in "+dir)
	if d, err := report.Read(filepath.Join(dir, "results.json")); err != nil || d.Complete || len(d.Results) == 0 {
		t.Errorf("%+v, %v", d, err)
	}
}
