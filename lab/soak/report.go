package main

import (
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/lab/soak/soak"
)

// report is what a soak prints.
type report struct {
	Seed    uint64 `json:"seed"`
	WorstOf string `json:"worst_of"`          // "lateness", or "recovery" from a fault of a cluster
	Command string `json:"command,omitempty"` // to see the failure again
	soak.Result
}

func (r report) nothingRun() bool {
	for _, t := range r.Tallies {
		if t.Verdict != soak.Omitted {
			return false
		}
	}
	return true
}

// print writes the summary.
func (r report) print(sc *console.Screen) {
	sc.Printf("scenario    rounds     operations  worst %s  verdict", r.WorstOf)
	for _, t := range r.Tallies {
		verdict, late := string(t.Verdict), "-"
		if t.Verdict != soak.Held {
			verdict = sc.Paint(console.Bold+console.Red, verdict)
		}
		if t.Rounds > 0 || t.Worst > 0 {
			late = console.Short(t.Worst)
		}
		sc.Printf("%-11s %6s %14s  %14s  %s", t.Scenario, console.Count(t.Rounds), console.Count(int(t.Operations)), late, verdict)
	}
	for _, t := range r.Tallies {
		if t.Verdict == soak.Omitted {
			sc.Printf("\n  Left out: %s: %s.", t.Scenario, t.Why)
		}
	}
	for _, t := range r.Tallies {
		if len(t.Last) > 0 {
			sc.Printf("\n%s, the last round:", t.Scenario)
		}
		for _, line := range t.Last {
			sc.Printf("  %s", line)
		}
	}
	if f := r.Failure; f != nil {
		sc.Printf("\n%s: %s.", sc.Paint(console.Bold+console.Red, "FAILED"), f.Scenario)
		sc.Printf("  guarantee  %s", f.Guarantee)
		sc.Printf("  seen       %s", f.Seen)
		sc.Printf("  seed       %d", f.Seed)
		sc.Printf("  again      %s", r.Command)
	}
}
