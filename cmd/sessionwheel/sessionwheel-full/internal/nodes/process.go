package nodes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// stopLimit is how long a node's process may take to end in order.
const stopLimit = 15 * time.Second

// nodeProcess is a node of the demo: serve in a process of its own, whose log is
// read. Its methods may be called from any goroutine, but for kill and stop, which
// serve one.
type nodeProcess struct {
	name  string
	addr  string // where it serves
	cmd   *exec.Cmd
	stdin io.Closer     // whose end ends the process in order, also when this one has died
	read  chan struct{} // closed at the end of its log
	over  bool          // it has been waited for

	mu   sync.Mutex
	log  []logged      // guarded by mu
	more chan struct{} // guarded by mu: closed and replaced with each entry
}

// logged is what matters of an entry in the log of serve.
type logged struct {
	Msg    string `json:"msg"`
	Addr   string `json:"addr"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// startNode starts this program as a node that the broker at url knows by the
// token. The caller ends it with stop.
func startNode(name, url, token string) (*nodeProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program, to start it again: %w", err)
	}
	p := &nodeProcess{name: name, read: make(chan struct{}), more: make(chan struct{})}
	p.cmd = exec.Command(exe, "serve", "--cluster", url, "--node", name, "--addr", "127.0.0.1:0",
		"--log-format", "json", "--end-with-stdin")
	p.cmd.Env = append(os.Environ(), "SESSIONWHEEL_CLUSTER_TOKEN="+token)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting node %s: %w", name, err)
	}
	go p.follow(stderr) // ends with the process; waited for by kill and stop
	return p, nil
}

// follow reads the log. A line that is none of it, such as the error that ends the
// process, is an entry too.
func (p *nodeProcess) follow(log io.Reader) {
	defer close(p.read)
	sc := bufio.NewScanner(log)
	for sc.Scan() {
		var e logged
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			e = logged{Msg: console.Clean(sc.Text())}
		}
		p.mu.Lock()
		p.log = append(p.log, e)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, log) // after a line that is too long
}

// await waits for an entry that matches, which may have been logged before.
func (p *nodeProcess) await(ctx context.Context, what string, matches func(logged) bool) (logged, error) {
	for from := 0; ; {
		p.mu.Lock()
		news, more := p.log[from:], p.more
		from = len(p.log)
		p.mu.Unlock()
		for _, e := range news {
			if matches(e) {
				return e, nil
			}
		}
		select {
		case <-more:
		case <-p.read:
			if p.moreThan(from) {
				continue
			}
			return logged{}, fmt.Errorf("node %s has ended before %s: %s", p.name, what, p.last())
		case <-ctx.Done():
			return logged{}, fmt.Errorf("node %s: %s has not come: %w", p.name, what, context.Cause(ctx))
		}
	}
}

func (p *nodeProcess) moreThan(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.log) > n
}

// last is the last that the process said.
func (p *nodeProcess) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.log) == 0 {
		return "it said nothing"
	}
	return p.log[len(p.log)-1].Msg
}

// kill ends the process at once, by SIGKILL where there is such a thing, and waits
// for its end.
func (p *nodeProcess) kill() {
	_ = p.cmd.Process.Kill() // fails if it has ended
	<-p.read
	_ = p.cmd.Wait() // that it was killed
	p.over = true
}

// stop has the process end in order and waits for that. It kills one that takes too
// long, which is an error. It does nothing to one that was killed.
func (p *nodeProcess) stop() error {
	if p.over {
		return nil
	}
	_ = p.stdin.Close()
	select {
	case <-p.read:
	case <-time.After(stopLimit):
		p.kill()
		return fmt.Errorf("node %s did not end within %v and was killed", p.name, stopLimit)
	}
	p.over = true
	var exit *exec.ExitError
	if err := p.cmd.Wait(); errors.As(err, &exit) {
		return fmt.Errorf("node %s ended with %w: %s", p.name, err, p.last())
	} else if err != nil {
		return fmt.Errorf("node %s: %w", p.name, err)
	}
	return nil
}
