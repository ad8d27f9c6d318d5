package run

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// label returns the name of a measurement.
func label(s Step) string {
	return fmt.Sprintf("%s %d, round %d, %s", s.Workload, s.Size, s.Round+1, s.Impl)
}

// outcome returns the main figure of a result, or why there is none.
func outcome(r measure.Result) string {
	if r.Error != "" {
		return "failed: " + r.Error
	}
	w, err := measure.WorkloadByName(r.Workload)
	if err != nil {
		return err.Error()
	}
	m := w.Metrics[0]
	return fmt.Sprintf("%.*f %s", m.Digits, r.Metrics[m.Name], m.Name)
}

// NewProgress returns a Progress that shows steps to w: a bar on a terminal,
// elsewhere a line for each measurement. The caller calls stop when Run has
// returned.
func NewProgress(w io.Writer, steps []Step) (p Progress, stop func()) {
	n := 0
	for _, s := range steps {
		if s.Skip == "" {
			n++
		}
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return &lines{w: w, steps: n}, func() {}
	}
	container := mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithRefreshRate(200*time.Millisecond))
	b := &bar{}
	b.bar = container.AddBar(int64(n),
		mpb.PrependDecorators(decor.CountersNoUnit("%d/%d ")),
		mpb.AppendDecorators(
			decor.Elapsed(decor.ET_STYLE_MMSS),
			decor.Any(func(decor.Statistics) string { return "  " + b.current() }),
		),
	)
	return b, func() {
		if !b.bar.Completed() {
			b.bar.Abort(false)
		}
		container.Wait()
	}
}

// lines is a Progress that prints a line for each measurement.
type lines struct {
	w     io.Writer
	steps int
	done  int
}

func (l *lines) Begin(Step) {}

func (l *lines) End(s Step, r measure.Result) {
	l.done++
	fmt.Fprintf(l.w, "%d/%d %s: %s\n", l.done, l.steps, label(s), outcome(r))
}
