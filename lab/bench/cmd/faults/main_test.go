package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionwheel/sessionwheel/lab/bench/cli"
	"github.com/sessionwheel/sessionwheel/lab/bench/faults"
)

// TestMain lets the program start this binary as it starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == faults.ChildCommand {
		main()
	}
	os.Exit(m.Run())
}

func call(args ...string) (status int, out, errs string) {
	var o, e strings.Builder
	status = execute(args, cli.Stdio{Out: &o, Err: &e})
	return status, o.String(), e.String()
}

func TestRun_ShowsAndWritesTheResults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "faults.json")
	status, out, errs := call("--only", "^(stop-twice|centuries)$", "--impl", "^plain library$", "--short", "--json", file)
	if status != 0 {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	for _, want := range []string{
		"| fault | sessionwheel | plain library |\n",
		"| `centuries` | none early | **100 of 100 early, by 250 years at most** |\n",
		"| `stop-twice` | nothing happens | **the process dies: panic: close of closed channel** |\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	if !strings.Contains(errs, "4/4 stop-twice, plain library: ") {
		t.Errorf("the progress is\n%s", errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Complete bool
		Results  []faults.Result
	}
	if err := json.Unmarshal(text, &d); err != nil || !d.Complete || len(d.Results) != 4 || d.Results[1].Figures["early"] != 100 {
		t.Errorf("%v: %s", err, text)
	}
}

func TestList_DescribesEachFaultAndImplementation(t *testing.T) {
	status, out, _ := call("--list")
	for _, f := range faults.All() {
		if !strings.Contains(out, f.Name+": "+f.About+"\n") {
			t.Errorf("there is no %q in\n%s", f.Name, out)
		}
	}
	for _, m := range faults.Impls() {
		if !strings.Contains(out, m.Name+"\n  "+m.How+"\n") {
			t.Errorf("there is no %q in\n%s", m.Name, out)
		}
	}
	if status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestRun_RefusesAWrongCommandLineBeforeItMeasures(t *testing.T) {
	for want, args := range map[string][]string{
		"--only is no regular expression":             {"--only", "("},
		"--impl is no regular expression":             {"--impl", "("},
		`--only "xyz" matches no fault`:               {"--only", "xyz"},
		`--impl "xyz" matches no implementation`:      {"--impl", "xyz"},
		"--nothing":                                   {"--nothing"},
		"x.json: no such file or directory: use a fi": {"--json", filepath.Join(t.TempDir(), "none", "x.json")},
	} {
		status, out, errs := call(args...)
		if status != cli.ExitUsage || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("%v: status %d, %q%q; there is no %q", args, status, out, errs, want)
		}
	}
}

func TestRun_ShowsTheTableWhenTheFileCannotBeWritten(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	status, out, errs := call("--only", "^stop-twice$", "--impl", "^sessionwheel$", "--json", "/dev/full")
	if status != cli.ExitRuntime || !strings.Contains(errs, "/dev/full") || !strings.Contains(out, "nothing happens") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}
