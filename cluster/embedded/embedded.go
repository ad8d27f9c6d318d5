// Package embedded runs a NATS broker with JetStream within the process: for a
// cluster of one machine, and for tests. It is a module of its own, so that who
// uses brokers that run elsewhere does not link one.
//
//	b, err := embedded.Start(embedded.Config{Dir: "/var/lib/server/directory"})
//	...
//	defer b.Close()
//	nc, err := b.Connect(cluster.ConnOptions(0)...)
//	...
//	node, err := cluster.Join(ctx, cluster.Config{Name: "a", Conn: nc, Local: local})
//
// Several processes of one machine share the broker of one of them by its Addr;
// when that one ends, the others are without. For several machines run three
// brokers that stay, each a process of its own.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// startLimit is how long the broker may take to start; it has as much to read as
// its directory holds.
const startLimit = 30 * time.Second

// Config configures a broker. The zero value is one in memory that this process
// alone reaches.
type Config struct {
	// Dir is where the broker keeps what is stored in files; it is made if it is not
	// there. Two brokers must not share one. "" means a temporary directory, which
	// Close removes: all is lost with the broker, whatever the storage. One that a
	// killed process has left is removed by the next Start of the same user that has no
	// Dir; on systems without flock it stays.
	Dir string

	// Addr is where it listens for other processes, as "127.0.0.1:4222"; port 0 means
	// one that is free. "" means that it does not listen.
	Addr string

	// Token is what clients that come over Addr must give, by nats.Token or within
	// the URL. "" means nothing, and is refused for an Addr that other machines
	// reach. Connect needs none.
	Token string
}

// Broker is a broker that runs. Its methods may be called from any goroutine.
type Broker struct {
	srv   *server.Server
	token string
	temp  *temp // nil if Config.Dir is set
	close func() error
}

// Start starts a broker and returns when it takes connections. The error names the
// field of the Config that is wrong.
func Start(c Config) (*Broker, error) {
	o := &server.Options{
		ServerName: "embedded",
		JetStream:  true,
		NoSigs:     true,
		DontListen: c.Addr == "",
		// A client that is gone is found before its lease is over.
		PingInterval: 2 * time.Second,
		MaxPingsOut:  2,
	}
	if err := listenAt(o, c); err != nil {
		return nil, err
	}
	b := &Broker{token: c.Token}
	if o.StoreDir = c.Dir; c.Dir == "" {
		var err error
		if b.temp, err = newTemp(); err != nil {
			return nil, fmt.Errorf("embedded: a temporary directory, since Config.Dir is empty: %w", err)
		}
		o.StoreDir = b.temp.store()
	} else if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: Config.Dir: %w", err)
	}
	b.close = sync.OnceValue(b.shutdown)
	if err := b.start(o); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// listenAt sets where the broker listens.
func listenAt(o *server.Options, c Config) error {
	if c.Addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("embedded: Config.Addr: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("embedded: Config.Addr is %q: its port must be a number up to 65535", c.Addr)
	}
	ip, err := netip.ParseAddr(host)
	if loopback := err == nil && ip.IsLoopback() || host == "localhost"; !loopback && c.Token == "" {
		return fmt.Errorf("embedded: Config.Addr is %q, which other machines may reach, and Config.Token is empty: set one, or use 127.0.0.1", c.Addr)
	}
	// The broker itself would not say why it cannot listen.
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("embedded: Config.Addr: %w", err)
	}
	if err := l.Close(); err != nil {
		return fmt.Errorf("embedded: Config.Addr: %w", err)
	}
	o.Host, o.Port, o.Authorization = host, int(number), c.Token
	if number == 0 {
		o.Port = server.RANDOM_PORT
	}
	return nil
}

func (b *Broker) start(o *server.Options) error {
	srv, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	b.srv = srv
	trouble := make(complaints, 1)
	srv.SetLogger(trouble, false, false)
	srv.Start()
	deadline := time.Now().Add(startLimit)
	for !srv.ReadyForConnections(100 * time.Millisecond) {
		select {
		case why := <-trouble:
			return fmt.Errorf("embedded: the broker did not start: %s", why)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("embedded: the broker did not start within %v", startLimit)
		}
	}
	if !srv.JetStreamEnabled() {
		select {
		case why := <-trouble:
			return fmt.Errorf("embedded: Config.Dir is %q: %s", o.StoreDir, why)
		default:
			return fmt.Errorf("embedded: Config.Dir is %q: JetStream did not start", o.StoreDir)
		}
	}
	return nil
}

// Connect makes a connection within the process, without a socket. A node of a
// cluster needs cluster.ConnOptions. Whoever makes it closes it, before the broker.
func (b *Broker) Connect(opts ...nats.Option) (*nats.Conn, error) {
	// A copy: append may not write into the caller's array.
	opts = append([]nats.Option{nats.Token(b.token)}, opts...)
	nc, err := nats.Connect("", append(opts, nats.InProcessServer(b.srv))...)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	return nc, nil
}

// URL is where other processes reach the broker, without the token; "" if it does
// not listen.
func (b *Broker) URL() string {
	if b.srv.Addr() == nil {
		return ""
	}
	return "nats://" + b.srv.Addr().String()
}

// Close ends the broker and all its connections, and waits until all is written. It
// is idempotent, and every call returns the same.
func (b *Broker) Close() error { return b.close() }

func (b *Broker) shutdown() error {
	if b.srv != nil {
		b.srv.Shutdown()
		b.srv.WaitForShutdown()
	}
	if b.temp == nil {
		return nil
	}
	return b.temp.remove()
}

// complaints are the broker's log: it keeps the first error and nothing else.
type complaints chan string

func (c complaints) keep(format string, v ...any) {
	select {
	case c <- fmt.Sprintf(format, v...):
	default:
	}
}

func (c complaints) Errorf(format string, v ...any) { c.keep(format, v...) }
func (c complaints) Fatalf(format string, v ...any) { c.keep(format, v...) }
func (complaints) Noticef(string, ...any)           {}
func (complaints) Warnf(string, ...any)             {}
func (complaints) Debugf(string, ...any)            {}
func (complaints) Tracef(string, ...any)            {}
