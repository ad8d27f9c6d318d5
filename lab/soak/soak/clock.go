package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// mostLoad is how many processors a process may keep busy that has little to
// do: one that spins takes a whole one.
const mostLoad = 0.8

// The machine's own clock is not a test's to set. So the child is a program with a
// package time that adds an offset to the wall reading, and leaves the monotonic
// one alone, as the kernel does when the clock is set.
func clockRound(ctx context.Context, r *Run) error {
	exe, err := r.builder.buildClock(ctx, "-tags", noCluster)
	if err != nil {
		return err
	}
	order := r.timersOrder()
	order.Step = true
	rep, _, err := r.playTimers(ctx, exe, order)
	switch {
	case err != nil:
		return err
	case rep.WallOff < time.Second:
		return fmt.Errorf("the wall clock of the child was not set: it was off by %v", rep.WallOff)
	case rep.Load > mostLoad:
		return broken(noBusyLoop, "%.2f processors were busy", rep.Load)
	}
	return rep.judge(r)
}

// buildClock builds the program whose wall clock can be set, with more flags for the
// build.
func (b *builder) buildClock(ctx context.Context, flags ...string) (string, error) {
	name := "clock" + strings.Join(flags, "")
	return b.build(ctx, name, "a program whose wall clock can be set", func(source, dir string) ([]string, error) {
		overlay, err := prepareClock(ctx, source, dir)
		return append(overlay, flags...), err
	})
}

// timersOrder draws an order for the role "timers".
func (r *Run) timersOrder() timersOrder {
	idle := r.between(400*time.Millisecond, 900*time.Millisecond)
	return timersOrder{
		Seed: r.rand.Uint64(), For: r.span(),
		Idle: idle, Given: r.given(idle), Cut: timersTurn*10 - r.given(timersTurn*10),
	}
}

// playTimers has a child do it, and returns what the child said beside its
// report.
func (r *Run) playTimers(ctx context.Context, exe string, o timersOrder, env ...string) (rep timersReport, said string, err error) {
	c, err := startChild(ctx, exe, "timers", o, env...)
	if err != nil {
		return rep, "", err
	}
	defer c.kill()
	if err := c.hear(&rep); err != nil {
		return rep, "", err
	}
	return rep, c.said.String(), c.wait()
}

func prepareClock(ctx context.Context, source, dir string) ([]string, error) {
	goroot, err := goCommand(ctx, source, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	timeGo := filepath.Join(goroot, "src", "time", "time.go")
	text, err := os.ReadFile(timeGo)
	if err != nil {
		return nil, err
	}
	const reading = "sec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), reading) != 1 {
		return nil, leftOut("package time of this Go (%s) reads the clock otherwise than it knows to change", runtime.Version())
	}
	overlay, err := overlay(dir, map[string]string{
		timeGo: strings.Replace(string(text), reading, reading+"\tsec += WallOffset.Load()\n", 1),
		filepath.Join(filepath.Dir(timeGo), "walloffset.go"): "package time\n\nimport \"sync/atomic\"\n\n" +
			"// WallOffset is added to the wall clock, in seconds.\nvar WallOffset atomic.Int64\n",
		filepath.Join(source, "soak", "setwall.go"): "package soak\n\nimport \"time\"\n\n" +
			"func init() { setWall = time.WallOffset.Store }\n",
	})
	return []string{"-overlay", overlay}, err
}
