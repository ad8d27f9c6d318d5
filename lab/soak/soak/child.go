package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// childEnv is the role of a process that a soak has started.
const childEnv = "SESSIONWHEEL_SOAK_CHILD"

// roles are what a child may be. Those of a cluster are added where it is built in.
var roles = map[string]func(*parent) error{"timers": timersChild, "server": serverChild}

// ChildMain plays the role that a soak has started this process for, and then
// ends the process. In any other process it returns at once. Call it first in
// main.
func ChildMain() {
	role := os.Getenv(childEnv)
	if role == "" {
		return
	}
	play, ok := roles[role]
	err := fmt.Errorf("there is no role %q", role)
	if ok {
		err = play(&parent{json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// parent is the other side, as a child sees it: it sends orders and gets
// reports, a JSON value each.
type parent struct {
	orders  *json.Decoder
	reports *json.Encoder
}

// child is a process in a role.
type child struct {
	ctx     context.Context
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	orders  *json.Encoder
	reports *json.Decoder
	said    tail // on standard error
	once    sync.Once
	err     error // of Wait
}

// startChild starts exe, or this program if that is empty, in a role, and sends
// it the first order. It is killed when ctx ends; the caller ends it with wait
// or kill.
func startChild(ctx context.Context, exe, role string, order any, env ...string) (*child, error) {
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("finding this program, to start it again: %w", err)
		}
	}
	c := &child{ctx: ctx, cmd: exec.CommandContext(ctx, exe)}
	c.cmd.Env = append(append(os.Environ(), childEnv+"="+role), env...)
	c.cmd.Stderr = &c.said
	c.cmd.WaitDelay = 5 * time.Second
	endWithParent(c.cmd)
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a child: %w", err)
	}
	c.stdin, c.orders, c.reports = stdin, json.NewEncoder(stdin), json.NewDecoder(stdout)
	if err := c.tell(order); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// tell sends an order.
func (c *child) tell(order any) error {
	if err := c.orders.Encode(order); err != nil {
		return c.died(err)
	}
	return nil
}

// hear waits for a report.
func (c *child) hear(report any) error {
	if err := c.reports.Decode(report); err != nil {
		return c.died(err)
	}
	return nil
}

// ask is tell and hear.
func (c *child) ask(order, report any) error {
	if err := c.tell(order); err != nil {
		return err
	}
	return c.hear(report)
}

// died says why a child neither reads nor writes.
func (c *child) died(err error) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	c.kill()
	return broken(survival, "a child ended (%v, %v): %s", err, c.err, c.said.String())
}

// wait ends the child's input and waits for its end.
func (c *child) wait() error {
	_ = c.stdin.Close() // it may have been closed by the child's end
	c.once.Do(func() { c.err = c.cmd.Wait() })
	if c.err != nil && c.ctx.Err() == nil {
		return broken(survival, "a child ended with %v: %s", c.err, c.said.String())
	}
	return c.err
}

// kill ends a child that wait has not, and waits for it.
func (c *child) kill() {
	c.once.Do(func() {
		err := c.cmd.Process.Kill()
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			c.err = err
			return
		}
		c.err = c.cmd.Wait()
	})
}

// tail keeps the beginning and the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

const tailHalf = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(p)
	if b := t.b.Bytes(); len(b) > 4*tailHalf {
		kept := append(bytes.Clone(b[:tailHalf]), "\n[...]\n"...)
		kept = append(kept, b[len(b)-tailHalf:]...)
		t.b.Reset()
		t.b.Write(kept)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.b.String())
}
