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

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
)

const (
	// maxMemory is the memory limit of each process, in bytes.
	maxMemory = 8 << 30

	// maxStderr is the number of bytes kept of a process's standard error, which
	// can hold the stacks of a million goroutines.
	maxStderr = 64 << 10

	// exitTimeout bounds the wait for the output of a process that has ended.
	exitTimeout = 2 * time.Second
)

// process is a child process.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  *bufio.Scanner
	stderr headBuffer
	cancel context.CancelFunc
	ctx    context.Context // ends at the limit

	tooLarge <-chan bool
}

// start starts a child, which is killed when its limit has passed or ctx ends. It
// has a process group of its own, so that Ctrl-C reaches only the parent.
func start(ctx context.Context, exe string, f Fault, c Case) (*process, error) {
	limited, cancel := context.WithTimeout(ctx, f.limit)
	p := &process{ctx: limited, cancel: cancel}
	p.cmd = exec.CommandContext(limited, exe, childArgs(c)...)
	p.cmd.Env = append(append(os.Environ(), f.env...), "GOTRACEBACK=single")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = exitTimeout
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
	p.tooLarge = procstat.LimitMemory(limited, cancel, p.cmd.Process.Pid, maxMemory)
	return p, nil
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// readMessage returns the next message. It skips other output.
func (p *process) readMessage() (message, bool) {
	for p.lines.Scan() {
		if m, ok := parseMessage(p.lines.Text()); ok {
			return m, true
		}
	}
	return message{}, false
}

// errNoAddr is returned if the child did not begin to listen.
var errNoAddr = errors.New("faults: the server sent no address")

func (p *process) addr() (string, error) {
	m, ok := p.readMessage()
	if !ok || m.Addr == "" {
		return "", errNoAddr
	}
	return m.Addr, nil
}

// end closes the child's input, waits until the child has ended, and returns its
// result, or how it ended.
func (p *process) end(f Fault, c Case) Result {
	r := Result{Case: c}
	_ = p.in.Close() // the child may have ended already
	m, ok := p.readMessage()
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
		r.Hung = fmt.Sprintf("it was not done after %v", f.limit)
	default:
		r.Died = failureText(p.stderr.String(), err)
	}
	return r
}

// headBuffer keeps the first maxStderr bytes that are written to it. It must not
// be read before the writer has ended.
type headBuffer struct{ bytes.Buffer }

func (b *headBuffer) Write(p []byte) (int, error) {
	_, err := b.Buffer.Write(p[:min(len(p), maxStderr-min(maxStderr, b.Len()))])
	return len(p), err
}

// failureText returns the first line of a panic in text, or else how the process
// ended.
func failureText(text string, err error) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			line, _, _ = strings.Cut(line, " [recovered")
			return strings.TrimSpace(line)
		}
	}
	return fmt.Sprintf("%v: %s", err, strings.TrimSpace(text))
}
