package launch

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

const (
	// patience is how long a build of a program that was built before may take
	// until it is shown: most find nothing to do.
	patience = time.Second

	liveEvery  = 200 * time.Millisecond // on a terminal
	plainEvery = 5 * time.Second        // elsewhere

	// killAfter is how long the go command may take to end when it is told to.
	killAfter = 5 * time.Second
)

// build is one run of go build.
type build struct {
	program Program
	root    string // of the checkout
	target  string // the binary

	doing string // what the go command said last that it does; of run's goroutine
}

// run builds the program, and shows on std.Err what is built and that it goes on.
func (b *build) run(ctx context.Context, std console.Std) error {
	cmd := b.command(ctx)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	sc := console.NewScreen(std.Err)
	shown := false
	show := func() {
		if !shown {
			shown = true
			sc.Printf("sessionwheel: building %s (%s), which may take a minute or two the first time", b.program.Name, b.program.About)
		}
	}
	first := patience
	if _, err := os.Stat(b.target); err != nil { // it was never built
		show()
		first = 0
	}
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("building %s: %w", b.program.Name, err)
	}
	began := time.Now()
	lines := make(chan string)
	go read(pipe, lines) // ends with the go command
	every := plainEvery
	if sc.Live() {
		every = liveEvery
	}
	timer := time.NewTimer(max(first, liveEvery))
	defer timer.Stop()
	for open := true; open; {
		select {
		case line, more := <-lines:
			open = more
			b.note(sc, line)
		case <-timer.C:
			timer.Reset(every)
			if !shown {
				show()
				continue
			}
			sc.Progress(fmt.Sprintf("sessionwheel: %s  %s", time.Since(began).Round(time.Second), b.doing))
		}
	}
	sc.Clear()
	switch err := cmd.Wait(); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%s could not be built from %s: %w", b.program.Name, b.root, err)
	}
	return nil
}

// command is the go command for the build.
func (b *build) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", b.target, ".")
	cmd.Dir = filepath.Join(b.root, filepath.FromSlash(b.program.Dir))
	work := filepath.Join(b.root, "go.work")
	if b.program.Alone {
		work = "off"
	}
	cmd.Env = append(os.Environ(), "GOWORK="+work)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = killAfter
	b.doing = "compiling"
	return cmd
}

// note keeps what the go command does, and prints what else it says.
func (b *build) note(sc *console.Screen, line string) {
	switch module, ok := strings.CutPrefix(line, "go: downloading "); {
	case ok:
		b.doing = "downloading " + console.Clean(module)
	case line != "":
		sc.Printf("%s", console.Clean(line))
	}
}

// read sends the lines of r and closes the channel at its end.
func read(r io.Reader, lines chan<- string) {
	defer close(lines)
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		lines <- sc.Text()
	}
	_, _ = io.Copy(io.Discard, r) // after a line that is too long
}
