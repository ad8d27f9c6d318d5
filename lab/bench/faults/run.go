package faults

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// Config says what to run.
type Config struct {
	Only  *regexp.Regexp // faults whose name it matches; nil means all
	Impl  *regexp.Regexp // implementations whose name it matches, and this project; nil means all
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
			if f.not[m.Name] == notHere {
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

// Run runs the cases one after the other, each in a process of its own, and
// calls done after each. When ctx ends it returns what there is by then, with
// ctx's error.
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

// needsClock reports whether a case runs in a binary of buildStepped's.
func needsClock(c Case) bool {
	f, err := ByName(c.Fault)
	return err == nil && f.clock && f.Not(c.Impl) == ""
}

// runner knows the binaries.
type runner struct {
	exe        string
	stepped    string
	steppedErr error // why there is none
}

func (r runner) run(ctx context.Context, c Case) Result {
	f, err := ByName(c.Fault)
	if err != nil {
		return Result{Case: c, Error: err.Error()}
	}
	exe := r.exe
	switch {
	case f.Not(c.Impl) != "":
		return Result{Case: c, Not: f.Not(c.Impl)}
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
