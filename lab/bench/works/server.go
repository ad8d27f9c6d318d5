package works

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/servers"
)

// marker begins the lines on standard output that are meant for the parent:
// some implementations print there on their own.
const marker = "\x02bench "

// Servers run in a process of their own. It takes these requests on its
// standard input, one a line, and answers each with a status; it ends at the
// end of its input.
const (
	askUsage = "usage" // as it is
	askHeld  = "held"  // after garbage collection
)

// status is what a server's process says of itself.
type status struct {
	Addr string        `json:"addr"`
	CPU  time.Duration `json:"cpu"`
	Held uint64        `json:"held"` // heap and stacks; only when asked for
	RSS  uint64        `json:"rss"`
}

// Serve runs a server in this process until in ends.
func Serve(name string, in io.Reader, out io.Writer) error {
	impl, err := servers.ByName(name)
	if err != nil {
		return err
	}
	addr, stop, err := impl.Start()
	if err != nil {
		return err
	}
	defer stop()
	if err := tell(out, status{Addr: addr}); err != nil {
		return err
	}
	asked := bufio.NewScanner(in)
	for asked.Scan() {
		var st status
		if asked.Text() == askHeld {
			st.Held = held()
		}
		st.CPU, st.RSS = cpuTime(), residentSet("self")
		if err := tell(out, st); err != nil {
			return err
		}
	}
	return asked.Err()
}

// tell writes a line for the parent.
func tell(out io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("works: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s%s\n", marker, text)
	return err
}

// Tell writes a result to the parent's pipe, for Told.
func Tell(out io.Writer, r Result) error { return tell(out, r) }

// Told finds the result in what a process has written.
func Told(output string) (r Result, ok bool) {
	for line := range strings.Lines(output) {
		if text, found := strings.CutPrefix(line, marker); found && json.Unmarshal([]byte(text), &r) == nil {
			ok = true
		}
	}
	return r, ok
}

// process is a server in a process of its own.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	addr string
}

// ServeCommand is the hidden command that runs Serve.
const ServeCommand = "serve-case"

// startServer runs this program again, as a server. It ends with stop, or with
// ctx.
func startServer(ctx context.Context, name string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("works: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe, ServeCommand, name)
	cmd.Env = append(os.Environ(), serveEnv+"="+name)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 2 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("works: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("works: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("works: %w", err)
	}
	p := &process{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	st, err := p.listen()
	if err != nil {
		p.stop()
		return nil, err
	}
	p.addr = st.Addr
	return p, nil
}

// serveEnv names the server that a test binary is to run instead of its tests.
const serveEnv = "SESSIONWHEEL_BENCH_SERVE"

// errServerGone says that the server's process has ended, or closed its output.
var errServerGone = errors.New("works: the server's process has ended")

// ask sends a request and waits for the answer.
func (p *process) ask(what string) (status, error) {
	if _, err := fmt.Fprintln(p.in, what); err != nil {
		return status{}, fmt.Errorf("works: %w", err)
	}
	return p.listen()
}

// listen returns the next status, and skips what the server prints on its own.
func (p *process) listen() (st status, err error) {
	for p.out.Scan() {
		if text, found := strings.CutPrefix(p.out.Text(), marker); found {
			if err := json.Unmarshal([]byte(text), &st); err != nil {
				return st, fmt.Errorf("works: %w", err)
			}
			return st, nil
		}
	}
	return st, errServerGone
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.in.Close()
	kill := time.AfterFunc(3*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait() // how it ends tells nothing
}
