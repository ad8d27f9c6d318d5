package run

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// CaseCommand is the hidden command that makes one measurement, with the
// arguments of caseArgs, and prints its result.
const CaseCommand = "run-case"

// MaxMemory bounds each process.
const MaxMemory = 10 << 30

const memoryEvery = 200 * time.Millisecond

// Progress is told of each step, on the goroutine of Run.
type Progress interface {
	Begin(Step)
	End(Step, works.Result)
}

// Run makes the measurements. When ctx ends it returns what there is by then,
// with ctx's error.
func Run(ctx context.Context, steps []Step, p Progress) ([]works.Result, error) {
	results := make([]works.Result, 0, len(steps))
	for _, s := range steps {
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

func (s Step) run(ctx context.Context) works.Result {
	if s.Skip != "" {
		return s.result(works.Result{NA: s.Skip})
	}
	start := time.Now()
	r, err := s.child(ctx)
	r.Took = time.Since(start)
	if err != nil {
		r.Error = err.Error()
	}
	return s.result(r)
}

func (s Step) result(r works.Result) works.Result {
	r.Case, r.Round = s.Case, s.Round
	if w, err := works.ByName(s.Work); err == nil && r.How == "" {
		for _, impl := range w.Impls() {
			if impl.Name == s.Impl {
				r.How, r.Module = impl.How, impl.Module
			}
		}
	}
	return r
}

// caseArgs are the arguments that make one measurement.
func caseArgs(c works.Case) []string {
	return []string{CaseCommand, c.Work, c.Impl, strconv.Itoa(c.Size), "--span", c.Span.String()}
}

// child makes the measurement in a process of its own.
func (s Step) child(ctx context.Context) (r works.Result, err error) {
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
	tooLarge := boundMemory(limited, cancel, cmd.Process.Pid)
	err = cmd.Wait()
	timedOut := limited.Err() == context.DeadlineExceeded
	cancel()
	switch r, ok := works.Told(out.String()); {
	case <-tooLarge:
		return r, fmt.Errorf("run: it took more than %d MiB of memory", MaxMemory>>20)
	case timedOut:
		return r, fmt.Errorf("run: it was not through after %v", s.Limit)
	case err != nil:
		return r, fmt.Errorf("run: %w: %s", err, lastLine(errs.String()))
	case !ok:
		return r, fmt.Errorf("run: the process gave no result: %s", lastLine(errs.String()))
	default:
		return r, nil
	}
}

// boundMemory kills the process, by way of cancel, if it becomes too large, and
// sends whether it did when ctx ends.
func boundMemory(ctx context.Context, cancel func(), pid int) <-chan bool {
	tooLarge := make(chan bool, 1)
	go func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				tooLarge <- false
				return
			case <-tick.C:
				if works.ResidentSet(pid) > MaxMemory {
					cancel()
					tooLarge <- true
					return
				}
			}
		}
	}()
	return tooLarge
}

// lastLine is what a process that failed had to say, or the first line of a
// panic.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "panic:") || strings.HasPrefix(l, "fatal error:") {
			return l
		}
	}
	return lines[len(lines)-1]
}
