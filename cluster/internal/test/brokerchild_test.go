package test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster/internal/test/brokerd"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// brokerProgram returns the path of the brokers' program, and builds it the first time.
var brokerProgram = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(programs, "broker")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", exe, "./cmd/broker").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return exe, nil
})

// programs is the directory of programs that the tests build. TestMain removes it.
var programs string

// childBroker is a broker in a process of its own, which ends with the test.
type childBroker struct {
	*child
	url string
}

func spawnBroker(t testing.TB, a brokerd.Arg) *childBroker {
	t.Helper()
	b := &childBroker{child: spawn(t, "broker", a)}
	require.NoError(t, json.Unmarshal(b.hello, &b.url))
	return b
}

func (b *childBroker) URL() string { return b.url }

func (b *childBroker) Connect(opts ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(b.url, opts...)
}

// connect returns a connection that is closed at the end of the test.
func (b *childBroker) connect(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := b.Connect(opts...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// jetstream returns a connection that is closed at the end of the test, and its streams.
func (b *childBroker) jetstream(t testing.TB) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc := b.connect(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return nc, js
}

// Close shuts the broker down. It may be called again.
func (b *childBroker) Close() error {
	_ = b.in.Close() // it may be closed already
	return b.ended()
}

// broker starts a broker of package embedded that is closed at the end of the test, after the
// nodes.
func broker(t testing.TB) *childBroker {
	t.Helper()
	b := spawnBroker(t, brokerd.Arg{Dir: t.TempDir(), Addr: loopback.Host() + ":0"})
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// brokerProcess starts a standalone broker in a process of its own, which ends with the
// test.
func brokerProcess(t *testing.T) (url string) {
	t.Helper()
	r := newTrio(t)
	spawn(t, "broker", brokerd.Arg{Name: "alone", Dir: t.TempDir(), Host: r.host, Port: r.ports[0]})
	return fmt.Sprintf("nats://%s:%d", r.host, r.ports[0])
}

func (r *trio) arg(i int) brokerd.Arg {
	return brokerd.Arg{
		Name: fmt.Sprint("s", i), Dir: filepath.Join(r.dir, fmt.Sprint(i)),
		Host: r.host, Port: r.ports[i], Route: r.ports[3+i], Routes: strings.Join(r.routes, ","),
	}
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
