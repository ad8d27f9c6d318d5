package ctl

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// line is what a command prints of one item. All of its text has been cleaned.
type line interface{ fields() []string }

type sessionLine struct {
	ID    string    `json:"id"`
	Node  string    `json:"node"`
	Since time.Time `json:"since"`
	Meta  string    `json:"meta,omitempty"` // serve stores the peer's address there
	Token uint64    `json:"token"`
	Epoch string    `json:"epoch"`
}

func sessionOf(e cluster.Entry) sessionLine {
	return sessionLine{
		ID: console.Clean(e.ID), Node: console.Clean(e.Node), Since: e.Since.UTC(),
		Meta: console.Clean(string(e.Meta)), Token: e.Token, Epoch: console.Clean(e.Owner),
	}
}

func (s sessionLine) fields() []string {
	return []string{s.ID, s.Node, s.Since.Format(time.RFC3339), s.Meta}
}

type nodeLine struct {
	Node     string `json:"node"`
	Sessions int    `json:"sessions"`
	Epoch    string `json:"epoch"`
}

func (n nodeLine) fields() []string { return []string{n.Node, strconv.Itoa(n.Sessions), n.Epoch} }

type doneLine struct {
	Done string `json:"done"`
	ID   string `json:"id"`
}

func (d doneLine) fields() []string { return []string{d.Done, d.ID} }

type eventLine struct {
	Time    time.Time    `json:"time"`
	Event   string       `json:"event"`
	ID      string       `json:"id,omitempty"`
	Session *sessionLine `json:"session,omitempty"` // of a Claimed
}

func eventOf(ev cluster.Event, at time.Time) eventLine {
	l := eventLine{Time: at.UTC(), Event: strings.ToLower(ev.Kind.String()), ID: console.Clean(ev.Entry.ID)}
	if ev.Kind == cluster.Claimed {
		s := sessionOf(ev.Entry)
		l.Session = &s
	}
	return l
}

func (e eventLine) fields() []string {
	f := []string{e.Time.Format(time.RFC3339), e.Event}
	switch {
	case e.Session != nil:
		return append(f, e.Session.ID, e.Session.Node, e.Session.Meta)
	case e.ID != "":
		return append(f, e.ID)
	}
	return f
}

// tableRows is how many lines of a table are aligned with each other.
const tableRows = 200

// lines prints one line for each item: fields separated by tabs, aligned below a
// header on a terminal, or JSON. It serves one goroutine.
type lines struct {
	w     *bufio.Writer
	json  *json.Encoder     // nil: fields
	table *tabwriter.Writer // nil: it is no terminal
	rows  int               // in the table since it was flushed
	err   error             // of the first line that was not written
}

func newLines(w io.Writer, asJSON bool) *lines {
	l := &lines{w: bufio.NewWriter(w)}
	if asJSON {
		l.json = json.NewEncoder(l.w)
		l.json.SetEscapeHTML(false)
	} else if _, ok := console.Terminal(w); ok {
		l.table = tabwriter.NewWriter(l.w, 0, 0, 2, ' ', 0)
	}
	return l
}

// header prints the names of the fields, on a terminal.
func (l *lines) header(names ...string) {
	if l.table != nil {
		l.fields(names)
	}
}

// put prints a line, and reports whether it makes sense to print another.
func (l *lines) put(what line) bool {
	if l.err != nil {
		return false
	}
	if l.json != nil {
		l.err = l.json.Encode(what)
	} else {
		l.fields(what.fields())
	}
	return l.err == nil
}

// fields prints a line of fields.
func (l *lines) fields(values []string) {
	text := strings.Join(values, "\t") + "\n"
	if l.table == nil {
		_, l.err = l.w.WriteString(text)
		return
	}
	_, l.err = io.WriteString(l.table, text)
	if l.rows++; l.rows >= tableRows {
		l.rows, l.err = 0, l.table.Flush()
	}
}

// flush writes what is buffered. It returns the first error of all.
func (l *lines) flush() error {
	if l.table != nil && l.err == nil {
		l.err = l.table.Flush()
	}
	if err := l.w.Flush(); l.err == nil {
		l.err = err
	}
	return l.err
}
