package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// ChildCommand is the hidden command that runs Child, with the arguments of
// childArgs.
const ChildCommand = "run-fault"

// marker begins the lines on standard output that are meant for the parent.
const marker = "\x02faults "

// message is what a child tells its parent, one a line.
type message struct {
	Addr   string  `json:"addr,omitempty"` // a server's, when it listens
	Result *Result `json:"result,omitempty"`
}

// Result is what became of one implementation.
type Result struct {
	Case
	Figures Figures `json:"figures,omitempty"`
	Text    string  `json:"text,omitempty"` // what there is to say beside the figures

	// One of these says why there are no figures.
	Not   string `json:"not,omitempty"`   // it was not run
	Died  string `json:"died,omitempty"`  // the process ended, and these were its last words
	Hung  string `json:"hung,omitempty"`  // it was killed
	Error string `json:"error,omitempty"` // the measurement itself failed
}

// tell writes a line for the parent.
func tell(out io.Writer, m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	if _, err = fmt.Fprintf(out, "%s%s\n", marker, text); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return nil
}

// told is the message on a line, if there is one.
func told(line string) (m message, ok bool) {
	text, found := strings.CutPrefix(line, marker)
	return m, found && json.Unmarshal([]byte(text), &m) == nil
}

func childArgs(c Case) []string {
	args := []string{ChildCommand, c.Fault, c.Impl}
	if c.Short {
		args = append(args, "--short")
	}
	return args
}

// Child injects one fault into one implementation, in this process, and tells
// the parent what it measured. The caller then exits: goroutines stay behind.
func Child(ctx context.Context, out io.Writer, c Case) error {
	f, err := ByName(c.Fault)
	if err != nil {
		return err
	}
	if _, err := implByName(c.Impl); err != nil {
		return err
	}
	r := Result{Case: c}
	if r.Figures, r.Text, err = f.run(ctx, c); err != nil {
		r.Error = err.Error()
	} else {
		r.Figures[cpu] = millis(processorTime())
	}
	return tell(out, message{Result: &r})
}
