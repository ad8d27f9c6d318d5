package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/lab/soak/soak"
)

// plainEvery is the interval of the lines of progress where there is no terminal.
const plainEvery = 3 * time.Second

// errNothingRun is returned by a soak that left out every scenario.
var errNothingRun = errors.New("every scenario was left out: nothing was checked")

// run soaks and reports. It returns console.ErrFailed if a guarantee was broken,
// and the cause of ctx if that ends first, after the report. All it has started has
// ended when it returns.
func run(ctx context.Context, w io.Writer, cfg flags.Soak) error {
	sc := console.NewScreen(w)
	if cfg.List {
		cfg.PrintList(sc)
		return nil
	}
	seed := cfg.Seed
	for seed == 0 {
		seed = uint64(rand.Uint32())
	}
	c := soak.Config{Duration: cfg.Duration, Seed: seed, Cluster: cfg.Cluster, Only: cfg.Matching(), Drill: cfg.Drill}
	if !cfg.JSON {
		sc.Printf("Soaking for %v with --seed %d: %s.", cfg.Duration, seed, flags.Names(cfg.Selected()))
		c.Progress = (&progress{screen: sc, worst: worst(cfg)}).show
	}
	res, err := c.Run(ctx)
	r := report{Seed: seed, WorstOf: worst(cfg), Result: res}
	if f := res.Failure; f != nil {
		r.Command = again(cfg, f.Scenario, f.Seed)
	}
	if cfg.JSON {
		if err := json.NewEncoder(w).Encode(r); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	} else {
		sc.Separate()
		r.print(sc)
	}
	switch {
	case err != nil:
		return err
	case res.Failure != nil:
		return console.ErrFailed
	case r.nothingRun():
		return errNothingRun
	}
	return nil
}

// worst says what a scenario's worst is: of its lateness, or of its recoveries.
func worst(cfg flags.Soak) string {
	if cfg.Cluster {
		return "recovery"
	}
	return "lateness"
}

// again is the command that starts with the same round.
func again(cfg flags.Soak, scenario string, seed uint64) string {
	command := "sessionwheel soak"
	if cfg.Cluster {
		command += " --cluster"
	}
	command += fmt.Sprintf(" --only '^%s$' --seed %d", scenario, seed)
	if cfg.Drill {
		command += " --drill"
	}
	return command
}

// progress shows how a soak stands.
type progress struct {
	screen  *console.Screen
	worst   string
	printed time.Time // the last plain line
	built   string    // the program whose build was announced last
}

func (s *progress) show(p soak.Progress) {
	if p.LeftOut != "" {
		s.screen.Printf("%s", s.screen.Paint(console.Bold+console.Red, fmt.Sprintf("LEFT OUT: %s: %s", p.Scenario, p.LeftOut)))
		return
	}
	if p.Building != "" && p.Building != s.built {
		s.built = p.Building
		s.screen.Printf("%s needs %s. It is being built; the first time this takes a minute or two.", p.Scenario, p.Building)
	}
	if now := time.Now(); s.screen.Live() || now.Sub(s.printed) >= plainEvery {
		s.printed = now
		s.screen.Progress(line(p, s.worst))
	}
}

// line is the state of the soak in 80 columns.
func line(p soak.Progress, worst string) string {
	if p.Building != "" {
		return fmt.Sprintf("%6.1fs  %-10s  round %-4d  building", p.Took.Seconds(), p.Scenario, p.Round)
	}
	return fmt.Sprintf("%6.1fs  %-10s  round %-4d  operations %-11s  worst %s %s",
		p.Took.Seconds(), p.Scenario, p.Round, console.Count(int(p.Operations)), worst, console.Short(p.Worst))
}
