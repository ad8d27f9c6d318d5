package faults

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// Config selects what to run.
type Config struct {
	Only  *regexp.Regexp // faults whose names match; nil means all
	Impl  *regexp.Regexp // implementations whose names match, and this project; nil means all
	Short bool           // fewer sessions, less time
}

// Plan lists the cases in order.
func Plan(c Config) ([]Case, error) {
	var cases []Case
	for _, f := range All() {
		if c.Only != nil && !c.Only.MatchString(f.Name) {
			continue
		}
		for _, m := range Impls() {
			if f.skip[m.Name] == noSockets {
				continue
			}
			if c.Impl == nil || m.Name == Ours || c.Impl.MatchString(m.Name) {
				cases = append(cases, Case{Fault: f.Name, Impl: m.Name, Short: c.Short})
			}
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("faults: no fault matches %q", c.Only)
	}
	return cases, nil
}

// Run runs the cases one after another, each in a process of its own, and calls
// done after each. If ctx ends first, it returns the results so far and the error
// of ctx.
func Run(ctx context.Context, cases []Case, done func(Result)) ([]Result, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	r := runner{exe: exe}
	if slices.ContainsFunc(cases, needsClock) {
		dir, err := os.MkdirTemp("", "faults")
		if err != nil {
			return nil, fmt.Errorf("faults: %w", err)
		}
		defer os.RemoveAll(dir)
		r.stepped, r.steppedErr = buildStepped(ctx, dir)
	}
	results := make([]Result, 0, len(cases))
	for _, c := range cases {
		result := r.run(ctx, c)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		results = append(results, result)
		done(result)
	}
	return results, nil
}

// needsClock reports whether a case needs a binary that buildStepped built.
func needsClock(c Case) bool {
	f, err := ByName(c.Fault)
	return err == nil && f.clock && f.skip[c.Impl] == ""
}

// runner runs cases in the binaries that they need.
type runner struct {
	exe        string
	stepped    string // built by buildStepped
	steppedErr error  // why stepped could not be built
}

func (r runner) run(ctx context.Context, c Case) Result {
	f, err := ByName(c.Fault)
	if err != nil {
		return Result{Case: c, Error: err.Error()}
	}
	exe := r.exe
	switch {
	case f.skip[c.Impl] != "":
		return Result{Case: c, Skipped: f.skip[c.Impl]}
	case f.clock && r.steppedErr != nil:
		return Result{Case: c, Error: r.steppedErr.Error()}
	case f.clock:
		exe = r.stepped
	}
	p, err := start(ctx, exe, f, c)
	if err != nil {
		return Result{Case: c, Error: err.Error()}
	}
	if f.beside == nil {
		return p.end(f, c)
	}
	figures, err := f.beside(ctx, c, p)
	result := p.end(f, c)
	switch {
	case err != nil && result.Died == "":
		result.Error = err.Error()
	case err == nil:
		for key, v := range figures {
			if result.Figures == nil {
				result.Figures = make(Figures)
			}
			result.Figures[key] = v
		}
	}
	return result
}
