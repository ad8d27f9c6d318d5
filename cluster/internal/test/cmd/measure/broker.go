package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sessionwheel/sessionwheel/cluster/internal/test/brokerd"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// brokerVar is the environment variable that makes this program a broker. Its value is a
// brokerd.Arg as JSON.
const brokerVar = "SESSIONWHEEL_MEASURE_BROKER"

// beBroker runs a broker until its standard input ends.
func beBroker(arg []byte) error {
	var a brokerd.Arg
	if err := json.Unmarshal(arg, &a); err != nil {
		return err
	}
	return brokerd.Run(a, os.Stdin, os.Stdout)
}

// brokers holds the processes of the brokers.
type brokers struct {
	args []brokerd.Arg
	cmds []*exec.Cmd
	ins  []io.Closer
}

// start starts the given number of brokers, one or three.
func (m *measurement) start(n int) (*brokers, error) {
	dir, err := os.MkdirTemp(m.dir, "brokers-")
	if err != nil {
		return nil, err
	}
	b := &brokers{args: make([]brokerd.Arg, n), cmds: make([]*exec.Cmd, n), ins: make([]io.Closer, n)}
	host := loopback.Host()
	ports, err := freePorts(host, 2*n)
	if err != nil {
		return nil, err
	}
	var routes []string
	for i := range b.args {
		b.args[i] = brokerd.Arg{Name: fmt.Sprint("s", i), Dir: filepath.Join(dir, fmt.Sprint(i)), Host: host, Port: ports[i]}
		routes = append(routes, fmt.Sprintf("nats://%s:%d", host, ports[n+i]))
	}
	for i := range b.args {
		if n > 1 {
			b.args[i].Route, b.args[i].Routes = ports[n+i], strings.Join(routes, ",")
		}
		if err := b.run(i); err != nil {
			return nil, errors.Join(err, b.stop())
		}
	}
	return b, nil
}

func freePorts(host string, n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// run starts broker i and waits until it accepts connections.
func (b *brokers) run(i int) error {
	arg, err := json.Marshal(b.args[i])
	if err != nil {
		return err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), brokerVar+"="+string(arg))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	b.cmds[i], b.ins[i] = cmd, in
	var url string
	if _, err := fmt.Fscan(out, &url); err != nil {
		return fmt.Errorf("a broker did not start: %w", err)
	}
	return nil
}

// end shuts broker i down and waits for its end.
func (b *brokers) end(i int) error {
	cmd := b.cmds[i]
	if cmd == nil {
		return nil
	}
	b.cmds[i] = nil
	return errors.Join(b.ins[i].Close(), cmd.Wait())
}

func (b *brokers) stop() error {
	var err error
	for i := range b.cmds {
		err = errors.Join(err, b.end(i))
	}
	return err
}

func (b *brokers) url() string {
	var urls []string
	for _, a := range b.args {
		urls = append(urls, fmt.Sprintf("nats://%s:%d", a.Host, a.Port))
	}
	return strings.Join(urls, ",")
}
