package run

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// label names a measurement.
func label(s Step) string {
	return fmt.Sprintf("%s %d, round %d, %s", s.Work, s.Size, s.Round+1, s.Impl)
}

// outcome is a measurement in a few words.
func outcome(r works.Result) string {
	switch {
	case r.NA != "":
		return "n/a: " + r.NA
	case r.Error != "":
		return "failed: " + r.Error
	}
	w, err := works.ByName(r.Work)
	if err != nil {
		return err.Error()
	}
	m := w.Metrics[0]
	return fmt.Sprintf("%.*f %s", m.Digits, r.Metrics[m.Name], m.Name)
}

// NewProgress shows how far a run is: a bar on a terminal, a line for each
// measurement anywhere else. The returned func ends the bar.
func NewProgress(w io.Writer, steps int) (Progress, func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return &lines{w: w, steps: steps}, func() {}
	}
	p := mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithRefreshRate(200*time.Millisecond))
	b := &bar{}
	b.bar = p.AddBar(int64(steps),
		mpb.PrependDecorators(decor.CountersNoUnit("%d/%d ")),
		mpb.AppendDecorators(
			decor.Elapsed(decor.ET_STYLE_MMSS),
			decor.Any(func(decor.Statistics) string { return "  " + b.now() }),
		),
	)
	return b, func() {
		if !b.bar.Completed() {
			b.bar.Abort(false)
		}
		p.Wait()
	}
}

// lines prints a line for each measurement.
type lines struct {
	w     io.Writer
	steps int
	done  int
}

func (l *lines) Begin(Step) {}

func (l *lines) End(s Step, r works.Result) {
	l.done++
	fmt.Fprintf(l.w, "%d/%d %s: %s\n", l.done, l.steps, label(s), outcome(r))
}
