package report

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// Document is the content of results.json.
type Document struct {
	Go       string       `json:"go"`
	OS       string       `json:"os"`
	Arch     string       `json:"arch"`
	Cores    int          `json:"cores"`
	Time     time.Time    `json:"time"`
	Quick    bool         `json:"quick"`
	Complete bool         `json:"complete"` // the run was not interrupted
	Goals    []GoalResult `json:"goals"`
	Results  Results      `json:"results"`
}

// NewDocument returns the document of a run that has just ended.
func NewDocument(rs Results, goals []GoalResult, quick, complete bool) Document {
	return Document{
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.GOMAXPROCS(0),
		Time: time.Now().UTC().Truncate(time.Second), Quick: quick, Complete: complete,
		Goals: goals, Results: rs,
	}
}

// Write writes results.json and results.csv into dir, and creates dir if needed.
func (d Document) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	text, err := json.MarshalIndent(d, "", "\t")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, "results.csv"))
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := errors.Join(CSV(f, d.Results), f.Close()); err != nil {
		return fmt.Errorf("report: results.csv: %w", err)
	}
	return nil
}

// Read reads a results.json.
func Read(path string) (d Document, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return d, fmt.Errorf("report: %w", err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("report: %s: %w", path, err)
	}
	return d, nil
}

// CSV writes a line for each figure of each measurement.
func CSV(w io.Writer, rs Results) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"workload", "size", "round", "implementation", "metric", "value", "note"}); err != nil {
		return err
	}
	for _, r := range rs {
		for _, line := range csvOf(r) {
			if err := c.Write(line); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

func csvOf(r measure.Result) (lines [][]string) {
	head := []string{r.Workload, strconv.Itoa(r.Size), strconv.Itoa(r.Round + 1), r.Impl}
	if len(r.Metrics) == 0 {
		return [][]string{append(head, "", "", r.Skipped+r.Error)}
	}
	for name, v := range r.Metrics {
		lines = append(lines, append(slices.Clone(head), name, strconv.FormatFloat(v, 'g', -1, 64), r.Error))
	}
	slices.SortFunc(lines, slices.Compare[[]string])
	return lines
}
