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
	Cluster  bool          `help:"Soak a cluster: three nodes and one broker or three, each a process of its own, all on this machine."`
	Only     string        `help:"Regular expression that picks scenarios by name. Empty means all."`
	List     bool          `help:"List the scenarios and exit."`
	JSON     bool          `name:"json" help:"Print the result as JSON and nothing else."`
	Drill    bool          `help:"A drill of the alarm, so that the soak must fail: half of each timeout is given to what is checked, and a cluster's nodes ignore evictions."`

	only *regexp.Regexp // set by Validate
}

// Help is the text below the summary of soak --help.
func (soakConfig) Help() string {
	return "It stops at the first broken guarantee with exit status 1, and prints the command that begins with the same round. " +
		"Two scenarios, and one of --cluster, build a program from a checkout of the project with the go command, and are left out without. " +
		"With --cluster a round takes 10 to 40 seconds, and longer on a busy machine; " +
		"all processes end with this one, however it ends. " +
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
	if conf := c.config(0); len(conf.Selected()) == 0 {
		return fmt.Errorf("--only %q picks no scenario: there are %s", c.Only, soakNames(conf.All()))
	}
	return nil
}

func (c *soakConfig) config(seed uint64) soak.Config {
	return soak.Config{Duration: c.Duration, Seed: seed, Cluster: c.Cluster, Only: c.only, Drill: c.Drill}
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
		for _, s := range cfg.config(0).All() {
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
				sc.progress(soakLine(p, cfg.worst()))
			}
		}
	}
	res, err := c.Run(ctx)
	s := soakReport{Seed: seed, WorstOf: cfg.worst(), Result: res}
	if f := res.Failure; f != nil {
		s.Command = cfg.again(f.Scenario, f.Seed)
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

// worst is what the worst of each scenario is of.
func (c *soakConfig) worst() string {
	if c.Cluster {
		return "recovery"
	}
	return "lateness"
}

// again is the command that begins with the same round.
func (c *soakConfig) again(scenario string, seed uint64) string {
	command := "sessionwheel soak"
	if c.Cluster {
		command += " --cluster"
	}
	command += fmt.Sprintf(" --only '^%s$' --seed %d", scenario, seed)
	if c.Drill {
		command += " --drill"
	}
	return command
}

// soakLine is the state of things in 80 columns.
func soakLine(p soak.Progress, worst string) string {
	return fmt.Sprintf("%6.1fs  %-10s  round %-4d  operations %-11s  worst %s %s",
		p.Took.Seconds(), p.Scenario, p.Round, count(int(p.Operations)), worst, short(p.Worst))
}

// soakReport is what a soak prints.
type soakReport struct {
	Seed    uint64 `json:"seed"`
	WorstOf string `json:"worst_of"`          // "lateness", or "recovery" from a fault of a cluster
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
	sc.printf("scenario    rounds     operations  worst %s  verdict", s.WorstOf)
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
