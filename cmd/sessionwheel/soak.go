package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/soak"
)

// soakLines is the interval of the lines of progress where there is no terminal.
const soakLines = 3 * time.Second

type soakConfig struct {
	Duration time.Duration `default:"1m" help:"Time to go on beginning rounds for. Each scenario has at least one, and one that has begun is ended."`
	Seed     uint64        `default:"0" help:"What the rounds draw from, to see again what another run saw. 0 means a random one, which is printed."`
	Only     string        `help:"Regular expression that picks scenarios by name. Empty means all."`
	List     bool          `help:"List the scenarios and exit."`
	JSON     bool          `name:"json" help:"Print the result as JSON and nothing else."`
	Drill    bool          `help:"A drill of the alarm: give half of each timeout to what is checked, so that the soak must fail."`

	only *regexp.Regexp // set by Validate
}

// Help is the text below the summary of soak --help.
func (soakConfig) Help() string {
	return "It stops at the first broken guarantee with exit status 1, and prints the command that begins with the same round. " +
		"Two scenarios build a program from a checkout of the project with the go command, and are left out without. " +
		"Ctrl-C ends it early and still reports. " +
		"A value shown behind a flag is its default."
}

// Validate is called by kong once the flags are set.
func (c *soakConfig) Validate() (err error) {
	if c.Duration <= 0 {
		return fmt.Errorf("--duration must be more than 0, not %v: try 1m", c.Duration)
	}
	if c.only, err = regexp.Compile(c.Only); err != nil {
		return fmt.Errorf("--only is no regular expression: %w", err)
	}
	if len(c.config(0).Selected()) == 0 {
		return fmt.Errorf("--only %q picks no scenario: there are %s", c.Only, soakNames(soak.Scenarios()))
	}
	return nil
}

func (c *soakConfig) config(seed uint64) soak.Config {
	return soak.Config{Duration: c.Duration, Seed: seed, Only: c.only, Drill: c.Drill}
}

func soakNames(scenarios []soak.Scenario) string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// errNothingRun is what comes of a soak of which every scenario was left out.
var errNothingRun = errors.New("every scenario was left out: nothing was checked")

// runSoak soaks and reports. It returns errFailed if a guarantee was broken, and
// the cause of ctx if that ends first, after the report. All it has started has
// ended when it returns.
func runSoak(ctx context.Context, w io.Writer, cfg soakConfig) error {
	sc := newScreen(w)
	if cfg.List {
		for _, s := range soak.Scenarios() {
			sc.printf("%-11s %s", s.Name, s.About)
		}
		return nil
	}
	seed := cfg.Seed
	for seed == 0 {
		seed = uint64(rand.Uint32())
	}
	c := cfg.config(seed)
	if !cfg.JSON {
		sc.printf("Soaking for %v with --seed %d: %s.", cfg.Duration, seed, soakNames(c.Selected()))
		var printed time.Time
		c.Progress = func(p soak.Progress) {
			switch now := time.Now(); {
			case p.LeftOut != "":
				sc.printf("%s", sc.paint(bold+red, fmt.Sprintf("LEFT OUT: %s: %s", p.Scenario, p.LeftOut)))
			case sc.live || now.Sub(printed) >= soakLines:
				printed = now
				sc.progress(soakLine(p))
			}
		}
	}
	res, err := c.Run(ctx)
	s := soakReport{Seed: seed, Result: res}
	if res.Failure != nil {
		s.Command = fmt.Sprintf("sessionwheel soak --only '^%s$' --seed %d", res.Failure.Scenario, res.Failure.Seed)
		if cfg.Drill {
			s.Command += " --drill"
		}
	}
	if cfg.JSON {
		if err := json.NewEncoder(w).Encode(s); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	} else {
		sc.separate()
		s.print(sc)
	}
	switch {
	case err != nil:
		return err
	case res.Failure != nil:
		return errFailed
	case s.nothingRun():
		return errNothingRun
	}
	return nil
}

// soakLine is the state of things in 80 columns.
func soakLine(p soak.Progress) string {
	return fmt.Sprintf("%6.1fs  %-10s  round %-4d  operations %-11s  worst lateness %s",
		p.Took.Seconds(), p.Scenario, p.Round, count(int(p.Operations)), short(p.Worst))
}

// soakReport is what a soak prints.
type soakReport struct {
	Seed    uint64 `json:"seed"`
	Command string `json:"command,omitempty"` // to see the failure again
	soak.Result
}

func (s soakReport) nothingRun() bool {
	for _, t := range s.Tallies {
		if t.Verdict != soak.Omitted {
			return false
		}
	}
	return true
}

// print writes the summary.
func (s soakReport) print(sc *screen) {
	sc.printf("scenario    rounds     operations  worst lateness  verdict")
	for _, t := range s.Tallies {
		verdict, late := string(t.Verdict), "-"
		if t.Verdict != soak.Held {
			verdict = sc.paint(bold+red, verdict)
		}
		if t.Rounds > 0 || t.Worst > 0 {
			late = short(t.Worst)
		}
		sc.printf("%-11s %6s %14s  %14s  %s", t.Scenario, count(t.Rounds), count(int(t.Operations)), late, verdict)
	}
	for _, t := range s.Tallies {
		if t.Verdict == soak.Omitted {
			sc.printf("\n  Left out: %s: %s.", t.Scenario, t.Why)
		}
	}
	if f := s.Failure; f != nil {
		sc.printf("\n%s: %s.", sc.paint(bold+red, "FAILED"), f.Scenario)
		sc.printf("  guarantee  %s", f.Guarantee)
		sc.printf("  seen       %s", f.Seen)
		sc.printf("  seed       %d", f.Seed)
		sc.printf("  again      %s", s.Command)
	}
}
