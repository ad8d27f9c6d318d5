//go:build !nocluster

package soak

import (
	"context"
	"os"
	"strings"
	"time"
)

// How the messages begin that the nodes log of a fault, as docs/cluster.md says.
const (
	saysReconciled  = "reconciled the directory"
	saysLeaseLost   = "lease lost"
	saysDead        = "declared a node dead"
	saysDeclared    = "declared dead"
	saysUnconnected = "not connected to the broker"
)

// noticed waits until each of the nodes has logged a message that begins so since the given moment. It
// returns how long that took.
func (f *fleet) noticed(ctx context.Context, since time.Time, message string, nodes ...*member) (last time.Duration, err error) {
	for _, m := range nodes {
		for {
			at, err := f.logged(m, since, message)
			if err != nil {
				return 0, err
			}
			if !at.IsZero() {
				last = max(last, at.Sub(since))
				break
			}
			if took := time.Since(since); took > f.bound() {
				return 0, broken(notices, "node %s has not logged %q for %v", m.name, message, took.Round(time.Millisecond))
			}
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return 0, err
			}
		}
	}
	f.r.tell("%d of %d nodes logged %q within %v", len(nodes), len(nodes), message, last.Round(time.Millisecond))
	return last, nil
}

// logged is when a node has first logged a message that begins so since the given moment, or
// the zero time.
func (f *fleet) logged(m *member, since time.Time, message string) (time.Time, error) {
	text, err := os.ReadFile(f.log(m))
	if err != nil {
		return time.Time{}, err
	}
	return firstLogged(string(text), since, message), nil
}

// firstLogged looks for a message in the text of a log, whose times are in milliseconds. Package
// slog puts a message in quotes if it has spaces.
func firstLogged(text string, since time.Time, message string) time.Time {
	since = since.Round(0).Truncate(time.Millisecond)
	for line := range strings.Lines(text) {
		said, found := strings.CutPrefix(line, "time=")
		stamp, said, _ := strings.Cut(said, " ")
		if !found || !strings.Contains(said, " msg="+message) && !strings.Contains(said, ` msg="`+message) {
			continue
		}
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil && !at.Before(since) {
			return at
		}
	}
	return time.Time{}
}

// keptLease says whether one of the nodes has lost its lease since the given moment, although
// it reached the broker. Where a process or the scheduler stood still, it may have.
func (f *fleet) keptLease(since time.Time, nodes ...*member) error {
	for _, m := range nodes {
		at, err := f.logged(m, since, saysLeaseLost)
		if err != nil {
			return err
		}
		_, stood, err := readJournal(f.journal(m), m.name, 0)
		if err != nil {
			return err
		}
		if !at.IsZero() && len(stood) == 0 && f.r.delay.delay() < f.still() {
			return broken(keepsLease, "node %s lost it %v after the fault", m.name, at.Sub(since).Round(time.Millisecond))
		}
	}
	return nil
}
