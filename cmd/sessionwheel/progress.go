package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	bold  = "\x1b[1m"
	green = "\x1b[32m"
	red   = "\x1b[31m"
	plain = "\x1b[0m"
)

// screen writes for people. On a terminal it keeps one live line, redrawn in
// place; anywhere else it writes plain lines, without control codes. It serves
// one goroutine.
type screen struct {
	w       io.Writer
	fd      int  // the terminal, if live
	live    bool // a terminal that can redraw a line
	color   bool // live, and NO_COLOR is not set
	fill    string
	faded   string
	shown   bool      // the live line is on the screen
	printed time.Time // the last plain line of progress
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, fill: "#", faded: "-"}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		s.live, s.fd = true, int(f.Fd())
		s.color = os.Getenv("NO_COLOR") == ""
		if speaksUTF8() {
			s.fill, s.faded = "█", "░"
		}
	}
	return s
}

// speaksUTF8 tells whether the locale of the terminal knows block characters.
func speaksUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// printf writes a line, or several, that stay.
func (s *screen) printf(format string, args ...any) {
	s.clear()
	fmt.Fprintf(s.w, format+"\n", args...)
}

// progress shows how things stand: in place of what it showed before on a
// terminal, else in a line of its own, at most one a second.
func (s *screen) progress(line string) {
	if !s.live {
		if time.Since(s.printed) >= time.Second {
			s.printed = time.Now()
			fmt.Fprintln(s.w, line)
		}
		return
	}
	width, _, err := term.GetSize(s.fd)
	if err != nil || width < 20 {
		width = 80
	}
	if runes := []rune(line); len(runes) >= width {
		line = string(runes[:width-1])
	}
	fmt.Fprintf(s.w, "\r%s\x1b[K", line)
	s.shown = true
}

// separate ends the progress: it takes the live line off the screen, or puts an
// empty line below the plain ones.
func (s *screen) separate() {
	s.clear()
	if !s.printed.IsZero() {
		s.printf("")
	}
}

// clear takes the live line off the screen.
func (s *screen) clear() {
	if s.shown {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.shown = false
	}
}

// paint puts the text in a color, where there are any.
func (s *screen) paint(color, text string) string {
	if !s.color {
		return text
	}
	return color + text + plain
}

// bar draws two quantities of a total, one filled and one faded, width
// characters long.
func (s *screen) bar(filled, faded, total, width int) string {
	if total <= 0 {
		return strings.Repeat(" ", width)
	}
	a := min(width, filled*width/total)
	b := min(width, (filled+faded)*width/total)
	return strings.Repeat(s.fill, a) + strings.Repeat(s.faded, max(0, b-a)) + strings.Repeat(" ", width-max(a, b))
}
