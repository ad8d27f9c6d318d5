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
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// brokerVar is the environment variable that makes this program a broker. Its value is a
// brokerArg as JSON.
const brokerVar = "SESSIONWHEEL_MEASURE_BROKER"

type brokerArg struct {
	Name, Dir   string
	Host        string
	Port, Route int
	Routes      string // "" for a standalone broker
}

// beBroker runs a broker until its standard input ends.
func beBroker(arg []byte) error {
	var a brokerArg
	if err := json.Unmarshal(arg, &a); err != nil {
		return err
	}
	o := &server.Options{
		ServerName: a.Name, Host: a.Host, Port: a.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: a.Dir,
	}
	if a.Routes != "" {
		o.Cluster = server.ClusterOpts{Name: "measure", Host: a.Host, Port: a.Route}
		o.Routes = server.RoutesFromStr(a.Routes)
	}
	srv, err := server.NewServer(o)
	if err != nil {
		return err
	}
	srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		return errors.New("it did not start within a minute")
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	srv.Shutdown()
	srv.WaitForShutdown()
	return err
}

// brokers holds the processes of the brokers.
type brokers struct {
	args []brokerArg
	cmds []*exec.Cmd
	ins  []io.Closer
}

// start starts the given number of brokers, one or three.
func (m *measurement) start(n int) (*brokers, error) {
	dir, err := os.MkdirTemp(m.dir, "brokers-")
	if err != nil {
		return nil, err
	}
	b := &brokers{args: make([]brokerArg, n), cmds: make([]*exec.Cmd, n), ins: make([]io.Closer, n)}
	host := loopback.Host()
	ports, err := freePorts(host, 2*n)
	if err != nil {
		return nil, err
	}
	var routes []string
	for i := range b.args {
		b.args[i] = brokerArg{Name: fmt.Sprint("s", i), Dir: filepath.Join(dir, fmt.Sprint(i)), Host: host, Port: ports[i], Route: ports[n+i]}
		routes = append(routes, fmt.Sprintf("nats://%s:%d", host, ports[n+i]))
	}
	for i := range b.args {
		if n > 1 {
			b.args[i].Routes = strings.Join(routes, ",")
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
	var word string
	if _, err := fmt.Fscan(out, &word); err != nil {
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
