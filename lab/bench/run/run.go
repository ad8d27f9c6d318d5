package run

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
)

// CaseCommand is the hidden command that makes one measurement, with the
// arguments of caseArgs, and prints the result.
const CaseCommand = "run-case"

// MaxMemory is the memory limit of each process, in bytes.
const MaxMemory = 10 << 30

// Progress observes a run. Run calls it on its own goroutine, for each
// measurement and for no case that is left out.
type Progress interface {
	Begin(Step)
	End(Step, measure.Result)
}

// Run makes the measurements. If ctx ends first, it returns the results so far
// and the error of ctx.
func Run(ctx context.Context, steps []Step, p Progress) ([]measure.Result, error) {
	results := make([]measure.Result, 0, len(steps))
	for _, s := range steps {
		if s.Skip != "" {
			results = append(results, s.describe(measure.Result{Skipped: s.Skip}))
			continue
		}
		p.Begin(s)
		r := s.run(ctx)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		results = append(results, r)
		p.End(s, r)
	}
	return results, nil
}

func (s Step) run(ctx context.Context) measure.Result {
	start := time.Now()
	r, err := s.runChild(ctx)
	r.Took = time.Since(start)
	if err != nil {
		r.Error = err.Error()
	}
	return s.describe(r)
}

// describe fills in what the step knows of a result.
func (s Step) describe(r measure.Result) measure.Result {
	r.Case, r.Round = s.Case, s.Round
	if w, err := measure.WorkloadByName(s.Workload); err == nil && r.How == "" {
		for _, impl := range w.Impls() {
			if impl.Name == s.Impl {
				r.How, r.Module = impl.How, impl.Module
			}
		}
	}
	return r
}

// caseArgs returns the arguments that make one measurement.
func caseArgs(c measure.Case) []string {
	return []string{CaseCommand, c.Workload, c.Impl, strconv.Itoa(c.Size), "--span", c.Span.String()}
}

// runChild makes the measurement in a process of its own.
func (s Step) runChild(ctx context.Context) (r measure.Result, err error) {
	exe, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("run: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	var out, errs strings.Builder
	cmd := exec.CommandContext(limited, exe, caseArgs(s.Case)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		return r, fmt.Errorf("run: %w", err)
	}
	tooLarge := procstat.LimitMemory(limited, cancel, cmd.Process.Pid, MaxMemory)
	err = cmd.Wait()
	timedOut := limited.Err() == context.DeadlineExceeded
	cancel()
	switch r, ok := measure.FindResult(out.String()); {
	case <-tooLarge:
		return r, fmt.Errorf("run: the process took more than %d MiB of memory", MaxMemory>>20)
	case timedOut:
		return r, fmt.Errorf("run: the process was killed after %v", s.Limit)
	case err != nil:
		return r, fmt.Errorf("run: %w: %s", err, failureLine(errs.String()))
	case !ok:
		return r, fmt.Errorf("run: the process printed no result: %s", failureLine(errs.String()))
	default:
		return r, nil
	}
}

// failureLine returns the first line of a panic in text, or else the last line.
func failureLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "panic:") || strings.HasPrefix(l, "fatal error:") {
			return l
		}
	}
	return lines[len(lines)-1]
}
