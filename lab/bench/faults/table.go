package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// Cell formats a result for a cell of a Markdown table. What breaks something
// that a server relies on is bold.
func Cell(r Result) string {
	switch {
	case r.Skipped != "":
		return "—"
	case r.Error != "":
		return "not measured: " + escape(r.Error)
	case r.Died != "":
		return bold("the process dies: %s", escape(r.Died))
	case r.Hung != "":
		return bold("killed: %s", escape(r.Hung))
	}
	f, err := ByName(r.Fault)
	if err != nil {
		return escape(err.Error())
	}
	var phrases []string
	for _, key := range f.shows {
		if text := r.Figures.phrase(key); text != "" {
			phrases = append(phrases, text)
		}
	}
	if r.Text != "" {
		phrases = append(phrases, escape(r.Text))
	}
	return strings.Join(phrases, "; ")
}

// escape makes text fit into a cell.
func escape(text string) string {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "|", `\|`)), " ")
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}

// Header returns one line with the Go version and the processors.
func Header() string {
	return fmt.Sprintf("%s %s/%s, %d processors", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
}

// Table writes a row for each fault and a column for each implementation.
func Table(w io.Writer, results []Result) error {
	var columns []string
	for _, m := range Impls() {
		if slices.ContainsFunc(results, func(r Result) bool { return r.Impl == m.Name && r.Skipped == "" }) {
			columns = append(columns, m.Name)
		}
	}
	text := new(strings.Builder)
	fmt.Fprintf(text, "| fault | %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)+1))
	for _, f := range All() {
		row := make([]string, len(columns))
		found := false
		for _, r := range results {
			if i := slices.Index(columns, r.Impl); i >= 0 && r.Fault == f.Name {
				row[i], found = Cell(r), true
			}
		}
		if found {
			fmt.Fprintf(text, "| `%s` | %s |\n", f.Name, strings.Join(row, " | "))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// document is the content of the JSON file.
type document struct {
	On       string   `json:"on"`
	Complete bool     `json:"complete"` // the run was not interrupted
	Results  []Result `json:"results"`
}

// WriteJSON writes all results to a file.
func WriteJSON(path string, results []Result, complete bool) error {
	text, err := json.MarshalIndent(document{Header(), complete, results}, "", "  ")
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return nil
}
