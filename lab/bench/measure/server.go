package measure

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

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
	"github.com/sessionwheel/sessionwheel/lab/bench/servers"
)

// marker begins each line on standard output that is for the parent process.
// Some implementations print there too.
const marker = "\x02bench "

// A server runs in a process of its own. The process reads one of these requests
// or requestPublish per line from standard input, answers each with a serverStatus,
// and ends at the end of its input.
const (
	requestUsage = "usage" // the processor time and the resident set
	requestInUse = "inuse" // the same, and the memory in use after a garbage collection
	requestGC    = "gc"    // the same as requestInUse, and then what gcCount collections take
)

// serverStatus is a line from a server's process.
type serverStatus struct {
	Addr  string        `json:"addr"` // in the first line only
	CPU   time.Duration `json:"cpu"`
	InUse uint64        `json:"inuse"` // bytes of heap and stacks, for requestInUse
	RSS   uint64        `json:"rss"`

	// Of gcCount collections together, for requestGC.
	GC    time.Duration `json:"gc,omitempty"` // processor time
	Pause time.Duration `json:"pause,omitempty"`

	// Of a server that broadcasts.
	Subscribers int           `json:"subscribers,omitempty"`
	Slow        int           `json:"slow,omitempty"` // closed as slow since the start
	P50         time.Duration `json:"p50,omitempty"`  // of the posts, for requestPublish
	P99         time.Duration `json:"p99,omitempty"`
	PeakRSS     uint64        `json:"peakRSS,omitempty"` // while it posted
}

// Serve runs a server in this process until in ends.
func Serve(name string, in io.Reader, out io.Writer) error {
	addr, hub, stop, err := startNamed(name)
	if err != nil {
		return err
	}
	defer stop()
	if err := writeLine(out, serverStatus{Addr: addr}); err != nil {
		return err
	}
	requests := bufio.NewScanner(in)
	for requests.Scan() {
		var st serverStatus
		if what, ok := strings.CutPrefix(requests.Text(), requestPublish); ok && hub != nil {
			if err := publish(hub, what, &st); err != nil {
				return err
			}
		}
		switch requests.Text() {
		case requestInUse:
			st.InUse = procstat.InUse()
		case requestGC:
			st.InUse = procstat.InUse() // empties what a sync.Pool would lose at the first collections
			st.GC, st.Pause = procstat.Collect(gcCount)
		}
		if hub != nil {
			st.Subscribers, st.Slow = hub.Len(), hub.Slow()
		}
		st.CPU, st.RSS = procstat.CPUTime(), procstat.ResidentSet(os.Getpid())
		if err := writeLine(out, st); err != nil {
			return err
		}
	}
	return requests.Err()
}

// startNamed starts a server by its name. hub is nil unless it broadcasts.
func startNamed(name string) (addr string, hub servers.Hub, stop func(), err error) {
	if name, ok := strings.CutPrefix(name, broadcaster); ok {
		impl, err := servers.BroadcasterByName(name)
		if err != nil {
			return "", nil, nil, err
		}
		addr, hub, err := impl.Start()
		if err != nil {
			return "", nil, nil, err
		}
		return addr, hub, hub.Stop, nil
	}
	name, secure := strings.CutPrefix(name, tlsServer)
	impl, err := servers.ByName(name)
	if err != nil {
		return "", nil, nil, err
	}
	start := impl.Start
	if secure {
		start = impl.StartTLS
	}
	addr, stop, err = start()
	return addr, nil, stop, err
}

// writeLine writes a line for the parent process.
func writeLine(out io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s%s\n", marker, text)
	return err
}

// WriteResult writes a result for the parent process, which calls FindResult.
func WriteResult(out io.Writer, r Result) error { return writeLine(out, r) }

// FindResult returns the result in the output of a process. It ignores what
// WriteResult did not write.
func FindResult(output string) (r Result, ok bool) {
	for line := range strings.Lines(output) {
		if text, found := strings.CutPrefix(line, marker); found && json.Unmarshal([]byte(text), &r) == nil {
			ok = true
		}
	}
	return r, ok
}

// serverProcess is a server in a process of its own.
type serverProcess struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	addr string
}

// ServeCommand is the hidden command that runs Serve.
const ServeCommand = "serve-case"

// serveEnv names the server that a test binary runs in place of its tests.
const serveEnv = "SESSIONWHEEL_BENCH_SERVE"

// errServerGone is returned when the server's process has ended or has closed
// its output.
var errServerGone = errors.New("measure: the server's process has ended")

// startServer starts this program again as a server. The process ends at stop,
// or with ctx.
func startServer(ctx context.Context, name string) (*serverProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe, ServeCommand, name)
	cmd.Env = append(os.Environ(), serveEnv+"="+name)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 2 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("measure: %w", err)
	}
	p := &serverProcess{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	st, err := p.readStatus()
	if err != nil {
		p.stop()
		return nil, err
	}
	p.addr = st.Addr
	return p, nil
}

// request sends a request and waits for the answer.
func (p *serverProcess) request(what string) (serverStatus, error) {
	if _, err := fmt.Fprintln(p.in, what); err != nil {
		return serverStatus{}, fmt.Errorf("measure: %w", err)
	}
	return p.readStatus()
}

// readStatus returns the next status. It skips lines that the server printed
// itself.
func (p *serverProcess) readStatus() (st serverStatus, err error) {
	for p.out.Scan() {
		if text, found := strings.CutPrefix(p.out.Text(), marker); found {
			if err := json.Unmarshal([]byte(text), &st); err != nil {
				return st, fmt.Errorf("measure: %w", err)
			}
			return st, nil
		}
	}
	return st, errServerGone
}

// stop ends the process and waits for it.
func (p *serverProcess) stop() {
	_ = p.in.Close() // the process may have ended already
	kill := time.AfterFunc(3*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait() // the measurement is over, however the process ends
}
