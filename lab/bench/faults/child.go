package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
)

// ChildCommand is the hidden command that runs Child, with the arguments of
// childArgs.
const ChildCommand = "run-fault"

// marker begins each line on standard output that is for the parent process.
const marker = "\x02faults "

// message is a line from a child to its parent.
type message struct {
	Addr   string  `json:"addr,omitempty"` // of a server that has begun to listen
	Result *Result `json:"result,omitempty"`
}

// Result is the outcome of one fault in one implementation.
type Result struct {
	Case
	Figures Figures `json:"figures,omitempty"`
	Text    string  `json:"text,omitempty"` // to show beside the figures

	// If there are no figures, one of these says why.
	Skipped string `json:"skipped,omitempty"` // why the case was not run
	Died    string `json:"died,omitempty"`    // how the process ended too early
	Hung    string `json:"hung,omitempty"`    // why the process was killed
	Error   string `json:"error,omitempty"`   // how the measurement failed
}

// writeMessage writes a line for the parent process.
func writeMessage(out io.Writer, m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	if _, err = fmt.Fprintf(out, "%s%s\n", marker, text); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return nil
}

// parseMessage returns the message on a line, if there is one.
func parseMessage(line string) (m message, ok bool) {
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

// Child injects one fault into one implementation, in this process, and writes
// the result for the parent. Goroutines remain, so the caller exits.
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
		r.Figures[cpu] = millis(procstat.CPUTime())
	}
	return writeMessage(out, message{Result: &r})
}
