package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The environment of a child process, which is this test binary.
const (
	roleVar = "CLUSTER_TEST_ROLE"
	argVar  = "CLUSTER_TEST_ARG" // JSON of the type that the role expects
)

// beChild is the main function of a child process. A child ends when its standard input
// ends, so that it never outlives the test binary.
func beChild(role string) int {
	child := map[string]func(arg []byte) error{"node": nodeChild, "temp": tempChild}[role]
	if err := child([]byte(os.Getenv(argVar))); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		return 1
	}
	return 0
}

// answer writes one line of JSON to the parent.
func answer(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

// questions calls f for each line from the parent until its input ends.
func questions(f func() error) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := f(); err != nil {
			return err
		}
	}
	return lines.Err()
}

// child is a child process.
type child struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *json.Decoder
	ended func() error
	hello json.RawMessage // its first answer
}

// spawn starts a child that ends with the test, and waits for its first answer. The role
// "broker" is that of cmd/broker.
func spawn(t testing.TB, role string, arg any) *child {
	t.Helper()
	text, err := json.Marshal(arg)
	require.NoError(t, err)
	// The test's context ends before the cleanups, which still need the child.
	ctx, cancel := context.WithCancel(context.Background())
	c := &child{t: t, cmd: exec.CommandContext(ctx, os.Args[0])}
	c.cmd.Env = append(os.Environ(), roleVar+"="+role, argVar+"="+string(text))
	if role == "broker" {
		exe, err := brokerProgram()
		require.NoError(t, err)
		c.cmd = exec.CommandContext(ctx, exe, string(text))
	}
	c.cmd.Stderr = os.Stderr
	c.in, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = json.NewDecoder(out)
	c.ended = sync.OnceValue(c.cmd.Wait)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() {
		cancel() // kills it
		_ = c.ended()
	})
	c.read(&c.hello)
	return c
}

func (c *child) read(v any) {
	c.t.Helper()
	require.NoError(c.t, c.out.Decode(v), "the child has ended")
}

// ask reads the child's next answer into v.
func (c *child) ask(v any) {
	c.t.Helper()
	_, err := io.WriteString(c.in, "\n")
	require.NoError(c.t, err)
	c.read(v)
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(s))
}

// kill kills the process and waits until it has ended.
func (c *child) kill() {
	c.t.Helper()
	c.signal(os.Kill)
	require.Error(c.t, c.ended())
}

// stop ends the process normally and waits for that.
func (c *child) stop() {
	c.t.Helper()
	require.NoError(c.t, c.in.Close())
	require.NoError(c.t, c.ended())
}
