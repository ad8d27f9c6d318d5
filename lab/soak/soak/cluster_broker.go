//go:build !nocluster

package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"

	"github.com/sessionwheel/sessionwheel/cluster/embedded"
)

// brokerOrder is the first order of the role "broker". It is answered by a
// brokerHello.
type brokerOrder struct {
	Name   string
	Dir    string
	Addr   string   // where clients reach it
	Route  string   // where the other brokers do; "" for one broker that is alone
	Routes []string // of all brokers
}

// brokerHello says where a broker is reached.
type brokerHello struct{ URL string }

// brokerStep is a further order: the wall clock is set to so many seconds after the
// true time. It is answered by another brokerHello.
type brokerStep struct{ Seconds int64 }

// brokerChild is a broker, until its standard input ends. It ends in good order
// then.
func brokerChild(up *parent) error {
	var o brokerOrder
	if err := up.orders.Decode(&o); err != nil {
		return err
	}
	url, end, err := o.start()
	if err != nil {
		return err
	}
	hello := brokerHello{url}
	for {
		if err := up.reports.Encode(hello); err != nil {
			return errors.Join(err, end())
		}
		var step brokerStep
		switch err := up.orders.Decode(&step); {
		case errors.Is(err, io.EOF):
			return end()
		case err != nil:
			return errors.Join(err, end())
		case setWall == nil:
			return errors.Join(errors.New("the wall clock of this program cannot be set"), end())
		}
		setWall(step.Seconds)
	}
}

func (o brokerOrder) start() (url string, end func() error, err error) {
	if o.Route == "" {
		b, err := embedded.Start(embedded.Config{Dir: o.Dir, Addr: o.Addr})
		if err != nil {
			return "", nil, err
		}
		return b.URL(), b.Close, nil
	}
	return o.startReplicated()
}

// startReplicated starts one of several brokers that keep the same.
func (o brokerOrder) startReplicated() (url string, end func() error, err error) {
	client, err := net.ResolveTCPAddr("tcp", o.Addr)
	if err != nil {
		return "", nil, err
	}
	route, err := net.ResolveTCPAddr("tcp", o.Route)
	if err != nil {
		return "", nil, err
	}
	srv, err := nats.NewServer(&nats.Options{
		ServerName: o.Name, Host: client.IP.String(), Port: client.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: o.Dir, PingInterval: 5 * time.Second, MaxPingsOut: 2,
		Cluster: nats.ClusterOpts{Name: "soak", Host: route.IP.String(), Port: route.Port},
		Routes:  nats.RoutesFromStr(strings.Join(o.Routes, ",")),
	})
	if err != nil {
		return "", nil, err
	}
	srv.Start()
	end = func() error {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil
	}
	if !srv.ReadyForConnections(clusterPatience) {
		return "", nil, errors.Join(fmt.Errorf("the broker %s did not start at %s and %s", o.Name, o.Addr, o.Route), end())
	}
	return "nats://" + o.Addr, end, nil
}

// brokers are the processes of the brokers: one, or three that keep the same.
type brokers struct {
	orders []brokerOrder
	child  []*child // nil: it does not run
	urls   []string
	exe    string // the program that they are; "" for this one
}

func newBrokers(dir string, n int) (*brokers, error) {
	b := &brokers{child: make([]*child, n), urls: make([]string, n)}
	if n == 1 {
		b.orders = []brokerOrder{{Name: "broker", Dir: filepath.Join(dir, "broker"), Addr: "127.0.0.1:0"}}
		return b, nil
	}
	addrs, err := freeAddrs(2 * n)
	if err != nil {
		return nil, err
	}
	var routes []string
	for _, addr := range addrs[n:] {
		routes = append(routes, "nats://"+addr)
	}
	for i := range n {
		name := fmt.Sprint("broker", i)
		b.orders = append(b.orders, brokerOrder{
			Name: name, Dir: filepath.Join(dir, name),
			Addr: addrs[i], Route: addrs[n+i], Routes: routes,
		})
	}
	return b, nil
}

// freeAddrs are addresses at which nothing listens.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // only then: else the same might come twice
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

func (b *brokers) start(ctx context.Context, i int) error {
	c, err := startChild(ctx, b.exe, "broker", b.orders[i])
	if err != nil {
		return err
	}
	var hello brokerHello
	if err := c.hear(&hello); err != nil {
		c.kill()
		return err
	}
	b.child[i], b.urls[i] = c, hello.URL
	return nil
}

// startAll starts all at once: a replicated one is ready when it has met others.
func (b *brokers) startAll(ctx context.Context, which ...int) error {
	return forAll(which, func(i int) error { return b.start(ctx, i) })
}

// stop ends a broker in good order.
func (b *brokers) stop(i int) error {
	c := b.child[i]
	b.child[i] = nil
	return c.wait()
}

// kill ends a broker as a crash does.
func (b *brokers) kill(i int) {
	if c := b.child[i]; c != nil {
		b.child[i] = nil
		c.kill()
	}
}

// url is where all are reached.
func (b *brokers) url() string { return strings.Join(b.urls, ",") }
