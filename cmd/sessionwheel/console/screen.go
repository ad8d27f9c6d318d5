package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Colors for Paint. They may be joined.
const (
	Bold  = "\x1b[1m"
	Green = "\x1b[32m"
	Red   = "\x1b[31m"

	plain = "\x1b[0m"
)

// Screen writes for people. On a terminal it keeps one live line, redrawn in
// place; anywhere else it writes plain lines, without control codes. It is not
// safe for concurrent use.
type Screen struct {
	w       io.Writer
	file    *os.File // the terminal, if live
	live    bool     // a terminal that can redraw a line
	color   bool     // live, and NO_COLOR is not set
	fill    string
	faded   string
	shown   bool      // the live line is on the screen
	printed time.Time // the last plain line of progress
}

// NewScreen returns a Screen that writes to w.
func NewScreen(w io.Writer) *Screen {
	s := &Screen{w: w, fill: "#", faded: "-"}
	if f, ok := Terminal(w); ok && os.Getenv("TERM") != "dumb" {
		s.live, s.file = true, f
		s.color = os.Getenv("NO_COLOR") == ""
		if SpeaksUTF8() {
			s.fill, s.faded = "█", "░"
		}
	}
	return s
}

// Terminal returns the terminal that w writes to, if it is one.
func Terminal(w io.Writer) (f *os.File, ok bool) {
	if o, is := w.(*Output); is {
		w = o.w
	}
	if f, ok = w.(*os.File); ok {
		_, ok = terminalWidth(f)
	}
	return f, ok
}

// SpeaksUTF8 reports whether the terminal's locale has block characters.
func SpeaksUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// Live reports whether Progress redraws one line in place.
func (s *Screen) Live() bool { return s.live }

// Printf writes one line or several. They stay on the screen.
func (s *Screen) Printf(format string, args ...any) {
	s.Clear()
	fmt.Fprintf(s.w, format+"\n", args...)
}

// Progress shows the current state. On a terminal it replaces the previous
// state; elsewhere it writes a line, at most one a second.
func (s *Screen) Progress(line string) {
	if !s.live {
		if time.Since(s.printed) >= time.Second {
			s.printed = time.Now()
			fmt.Fprintln(s.w, line)
		}
		return
	}
	width, _ := terminalWidth(s.file)
	if width < 20 {
		width = 80
	}
	if runes := []rune(line); len(runes) >= width {
		line = string(runes[:width-1])
	}
	fmt.Fprintf(s.w, "\r%s\x1b[K", line)
	s.shown = true
}

// Separate ends the progress: it erases the live line, or writes an empty line
// below the plain ones.
func (s *Screen) Separate() {
	s.Clear()
	if !s.printed.IsZero() {
		s.Printf("")
	}
}

// Clear erases the live line.
func (s *Screen) Clear() {
	if s.shown {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.shown = false
	}
}

// Paint colors the text, if the screen has colors.
func (s *Screen) Paint(color, text string) string {
	if !s.color {
		return text
	}
	return color + text + plain
}

// Bar draws two quantities of a total, one filled and one faded, as width
// characters.
func (s *Screen) Bar(filled, faded, total, width int) string {
	if total <= 0 {
		return strings.Repeat(" ", width)
	}
	a := min(width, filled*width/total)
	b := min(width, (filled+faded)*width/total)
	return strings.Repeat(s.fill, a) + strings.Repeat(s.faded, max(0, b-a)) + strings.Repeat(" ", width-max(a, b))
}
