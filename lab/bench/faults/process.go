package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

const (
	// maxMemory bounds each process.
	maxMemory   = 8 << 30
	memoryEvery = 200 * time.Millisecond

	// keepWords is how much is kept of what a process writes to standard error,
	// which can be the stacks of a million goroutines.
	keepWords = 64 << 10

	// farewell is how long a process may take to end when it is done.
	farewell = 2 * time.Second
)

// process is a child.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  *bufio.Scanner
	words  beginning
	cancel context.CancelFunc
	ctx    context.Context // of its limit

	tooLarge <-chan bool
}

// start starts a child that is killed when its limit has passed or ctx ends. It
// has a process group of its own, so that an interrupt from the terminal is the
// parent's alone.
func start(ctx context.Context, exe string, f Fault, c Case) (*process, error) {
	limited, cancel := context.WithTimeout(ctx, f.limit)
	p := &process{ctx: limited, cancel: cancel}
	p.cmd = exec.CommandContext(limited, exe, childArgs(c)...)
	p.cmd.Env = append(append(os.Environ(), f.env...), "GOTRACEBACK=single")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = &p.words
	p.cmd.WaitDelay = farewell
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		cancel()
		return nil, fmt.Errorf("faults: %w", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("faults: %w", err)
	}
	p.lines = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("faults: %w", err)
	}
	p.tooLarge = p.boundMemory()
	return p, nil
}

// boundMemory kills the process if it becomes too large, and sends whether it
// did when it has ended.
func (p *process) boundMemory() <-chan bool {
	tooLarge := make(chan bool, 1)
	go func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for {
			select {
			case <-p.ctx.Done():
				tooLarge <- false
				return
			case <-tick.C:
				if works.ResidentSet(p.cmd.Process.Pid) > maxMemory {
					p.cancel()
					tooLarge <- true
					return
				}
			}
		}
	}()
	return tooLarge
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// listen returns the next message, and skips what others print.
func (p *process) listen() (message, bool) {
	for p.lines.Scan() {
		if m, ok := told(p.lines.Text()); ok {
			return m, true
		}
	}
	return message{}, false
}

// errNoAddr says that the child did not come to listen.
var errNoAddr = errors.New("faults: the server told no address")

func (p *process) addr() (string, error) {
	m, ok := p.listen()
	if !ok || m.Addr == "" {
		return "", errNoAddr
	}
	return m.Addr, nil
}

// end closes the child's input, waits for its result and its end, and says how
// it ended.
func (p *process) end(f Fault, c Case) Result {
	r := Result{Case: c}
	_ = p.in.Close() // a child that has ended tells below
	m, ok := p.listen()
	if ok && m.Result != nil {
		r = *m.Result
	}
	err := p.cmd.Wait()
	timedOut := errors.Is(p.ctx.Err(), context.DeadlineExceeded)
	p.cancel()
	switch large := <-p.tooLarge; {
	case ok:
	case large:
		r.Hung = fmt.Sprintf("it took more than %d MiB", maxMemory>>20)
	case timedOut:
		r.Hung = fmt.Sprintf("it was not through after %v", f.limit)
	default:
		r.Died = lastWords(p.words.String(), err)
	}
	return r
}

// beginning keeps the first keepWords bytes that are written to it. It is
// written to by one goroutine, and read when that has ended.
type beginning struct{ bytes.Buffer }

func (b *beginning) Write(p []byte) (int, error) {
	_, err := b.Buffer.Write(p[:min(len(p), keepWords-min(keepWords, b.Len()))])
	return len(p), err
}

// lastWords is the first line of a panic, or how the process ended.
func lastWords(text string, err error) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			line, _, _ = strings.Cut(line, " [recovered")
			return strings.TrimSpace(line)
		}
	}
	return fmt.Sprintf("%v: %s", err, strings.TrimSpace(text))
}
