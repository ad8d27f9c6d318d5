//go:build !nocluster

package soak

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"

	"github.com/sessionwheel/sessionwheel/cluster/embedded"
)

// brokerOrder is the first order of the role "broker". It is answered by a
// brokerHello.
type brokerOrder struct {
	Name     string
	Dir      string
	Addr     string   // where clients reach it
	Route    string   // where the other brokers do; "" for one broker that is alone
	Routes   []string // of all brokers
	Password string   // that clients need, as the user brokerUser; "" for none
	Log      string   // the path; for a broker that is alone and needs no password, there is none
}

// brokerUser is the name of the nodes' user at a broker with a password.
const brokerUser = "node"

// brokerHello says where a broker is reached.
type brokerHello struct{ URL string }

// brokerStep is a further order: the password becomes another, or else the wall clock is
// set to so many seconds after the true time. It is answered by another brokerHello.
type brokerStep struct {
	Password string
	Seconds  int64
}

// brokerChild is a broker, until its standard input ends. It ends in good order
// then.
func brokerChild(up *parent) error {
	var o brokerOrder
	if err := up.orders.Decode(&o); err != nil {
		return err
	}
	b, err := o.start()
	if err != nil {
		return err
	}
	for {
		if err := up.reports.Encode(brokerHello{b.url}); err != nil {
			return errors.Join(err, b.end())
		}
		var step brokerStep
		err := up.orders.Decode(&step)
		if errors.Is(err, io.EOF) {
			return b.end()
		}
		if err == nil {
			err = b.take(step)
		}
		if err != nil {
			return errors.Join(err, b.end())
		}
	}
}

// runningBroker is a broker in this process.
type runningBroker struct {
	url      string
	end      func() error // in good order
	password func(string) error
}

// take does what a step says.
func (b *runningBroker) take(step brokerStep) error {
	switch {
	case step.Password != "":
		return b.password(step.Password)
	case setWall == nil:
		return errors.New("the wall clock of this program cannot be set")
	}
	setWall(step.Seconds)
	return nil
}

func (o brokerOrder) start() (*runningBroker, error) {
	if o.Route != "" || o.Password != "" {
		return o.startServer()
	}
	b, err := embedded.Start(embedded.Config{Dir: o.Dir, Addr: o.Addr})
	if err != nil {
		return nil, err
	}
	none := func(string) error { return errors.New("this broker has no password") }
	return &runningBroker{url: b.URL(), end: b.Close, password: none}, nil
}

// startServer starts a broker that package embedded does not offer: one of several that
// keep the same, or one with a user.
func (o brokerOrder) startServer() (*runningBroker, error) {
	opts, err := o.options()
	if err != nil {
		return nil, err
	}
	srv, err := nats.NewServer(opts)
	if err != nil {
		return nil, err
	}
	srv.ConfigureLogger()
	srv.Start()
	b := &runningBroker{
		end: func() error {
			srv.Shutdown()
			srv.WaitForShutdown()
			return nil
		},
		password: func(password string) error {
			next := opts.Clone()
			next.Password = password
			return srv.ReloadOptions(next)
		},
	}
	if !srv.ReadyForConnections(clusterPatience) {
		return nil, errors.Join(fmt.Errorf("the broker %s did not start at %s and %s", o.Name, o.Addr, o.Route), b.end())
	}
	b.url = "nats://" + srv.Addr().String()
	return b, nil
}

func (o brokerOrder) options() (*nats.Options, error) {
	client, err := net.ResolveTCPAddr("tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	opts := &nats.Options{
		ServerName: o.Name, Host: client.IP.String(), Port: client.Port, NoSigs: true, LogFile: o.Log,
		JetStream: true, StoreDir: o.Dir, PingInterval: 5 * time.Second, MaxPingsOut: 2,
	}
	if client.Port == 0 {
		opts.Port = nats.RANDOM_PORT
	}
	if o.Password != "" {
		opts.Username, opts.Password = brokerUser, o.Password
	}
	if o.Route != "" {
		route, err := net.ResolveTCPAddr("tcp", o.Route)
		if err != nil {
			return nil, err
		}
		opts.Cluster = nats.ClusterOpts{Name: "soak", Host: route.IP.String(), Port: route.Port}
		opts.Routes = nats.RoutesFromStr(strings.Join(o.Routes, ","))
	}
	return opts, nil
}
