package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// brokerArg is the argument of a broker, in a child process or in this one. A broker
// without a Route is standalone.
type brokerArg struct {
	Name, Dir   string
	Host        string
	Port, Route int
	Routes      string
}

func (a brokerArg) options() *server.Options {
	o := &server.Options{
		ServerName: a.Name, Host: a.Host, Port: a.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: a.Dir,
	}
	if a.Route != 0 {
		o.Cluster = server.ClusterOpts{Name: "trio", Host: a.Host, Port: a.Route}
		o.Routes = server.RoutesFromStr(a.Routes)
	}
	return o
}

// brokerProcess starts a standalone broker in a process of its own, which ends with the
// test.
func brokerProcess(t *testing.T) (url string) {
	t.Helper()
	r := newTrio(t)
	spawn(t, "broker", brokerArg{Name: "alone", Dir: t.TempDir(), Host: r.host, Port: r.ports[0]})
	return fmt.Sprintf("nats://%s:%d", r.host, r.ports[0])
}

func (r *trio) arg(i int) brokerArg {
	return brokerArg{
		Name: fmt.Sprint("s", i), Dir: filepath.Join(r.dir, fmt.Sprint(i)),
		Host: r.host, Port: r.ports[i], Route: r.ports[3+i], Routes: strings.Join(r.routes, ","),
	}
}

// brokerChild runs a broker until its standard input ends, and then shuts it down.
func brokerChild(arg []byte) error {
	var a brokerArg
	if err := json.Unmarshal(arg, &a); err != nil {
		return err
	}
	srv, err := server.NewServer(a.options())
	if err != nil {
		return err
	}
	srv.Start()
	if !srv.ReadyForConnections(patience) {
		return errors.New("the broker did not start")
	}
	if err := answer(true); err != nil {
		return err
	}
	err = questions(func() error { return answer(true) })
	srv.Shutdown()
	srv.WaitForShutdown()
	return err
}

// processes is three brokers that replicate, each in a process of its own.
type processes struct {
	*trio
	child [3]*child
}

func newProcesses(t *testing.T) *processes {
	t.Helper()
	p := &processes{trio: newTrio(t)}
	for i := range p.child {
		p.start(i)
	}
	return p
}

func (p *processes) start(i int) {
	p.t.Helper()
	p.child[i] = spawn(p.t, "broker", p.arg(i))
}

// leader returns the broker that leads the directory's stream.
func (p *processes) leader() int {
	p.t.Helper()
	nc, err := nats.Connect(p.url(), nats.MaxReconnects(-1))
	require.NoError(p.t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(p.t, err)
	found := -1
	eventually(p.t, "the directory has a leader", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // an answer may be lost
		defer cancel()
		s, err := js.Stream(ctx, "KV_sessions_dir")
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		_, err = fmt.Sscanf(s.CachedInfo().Cluster.Leader, "s%d", &found)
		return err == nil
	})
	return found
}
