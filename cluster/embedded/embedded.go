// Package embedded runs a NATS broker with JetStream within the process, for a cluster on
// a single machine and for tests. It is a module of its own, so that programs that use
// other brokers do not link one.
//
//	b, err := embedded.Start(embedded.Config{Dir: "/var/lib/server/directory"})
//	...
//	defer b.Close()
//	nc, err := b.Connect(cluster.ConnOptions(0)...)
//	...
//	node, err := cluster.Join(ctx, cluster.Config{Name: "a", Conn: nc, Local: local})
//
// Several processes of a machine can share the broker of one of them through its Addr.
// When that process ends, the others have no broker. For several machines, run three
// permanent brokers, each as a process of its own.
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

// startLimit is how long the broker may take to start, during which it reads its
// directory.
const startLimit = 30 * time.Second

// Config configures a broker. With the zero value, only this process can connect to the
// broker, and its data is lost when it is closed.
type Config struct {
	// Dir is the directory of the broker's files. It is created if it does not exist.
	// Two brokers must not share one. "" means a temporary directory, which Close
	// removes, so that all data is lost, whatever its storage. If a process is killed,
	// its temporary directory is removed by the next Start without a Dir by the same
	// user; on systems without flock it stays.
	Dir string

	// Addr is the address on which the broker listens for other processes, for example
	// "127.0.0.1:4222". Port 0 means a free port. "" means that it does not listen.
	Addr string

	// Token is the token that clients must present at Addr, with nats.Token or in the
	// URL. "" means none, which is an error if other machines can reach Addr. Connect
	// does not need it.
	Token string
}

// Broker is a running broker. Make one with [Start]. Its methods may be called from any
// goroutine.
type Broker struct {
	srv   *server.Server
	token string
	temp  *temp // nil if Config.Dir is set
	close func() error
}

// Start starts a broker and returns when it accepts connections, or with an error after at
// most 30 seconds. If a field of the Config is invalid, the error names it.
func Start(c Config) (*Broker, error) {
	o := &server.Options{
		ServerName: "embedded",
		JetStream:  true,
		NoSigs:     true,
		DontListen: c.Addr == "",
		// Detect a dead client before its lease expires.
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
			return nil, fmt.Errorf("embedded: temporary directory for an empty Config.Dir: %w", err)
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

// listenAt sets the address on which the broker listens.
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
		return fmt.Errorf("embedded: Config.Addr is %q, which other machines can reach, and Config.Token is empty: set it, or use 127.0.0.1", c.Addr)
	}
	// The broker itself does not report why it cannot listen.
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

// start starts the broker and waits until it is ready.
func (b *Broker) start(o *server.Options) error {
	srv, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	b.srv = srv
	firstError := make(errorLog, 1)
	srv.SetLogger(firstError, false, false)
	srv.Start()
	deadline := time.Now().Add(startLimit)
	for !srv.ReadyForConnections(100 * time.Millisecond) {
		select {
		case why := <-firstError:
			return fmt.Errorf("embedded: the broker did not start: %s", why)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("embedded: the broker did not start within %v", startLimit)
		}
	}
	if !srv.JetStreamEnabled() {
		select {
		case why := <-firstError:
			return fmt.Errorf("embedded: Config.Dir is %q: %s", o.StoreDir, why)
		default:
			return fmt.Errorf("embedded: Config.Dir is %q: JetStream did not start", o.StoreDir)
		}
	}
	return nil
}

// Connect returns a connection within the process, without a socket. For a node or a client
// of a cluster, pass cluster.ConnOptions. The caller must close it before the broker.
func (b *Broker) Connect(opts ...nats.Option) (*nats.Conn, error) {
	// Copy, so that append does not write to the caller's array.
	opts = append([]nats.Option{nats.Token(b.token)}, opts...)
	nc, err := nats.Connect("", append(opts, nats.InProcessServer(b.srv))...)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	return nc, nil
}

// URL returns the URL for other processes, without the token, or "" if the broker does not
// listen.
func (b *Broker) URL() string {
	if b.srv.Addr() == nil {
		return ""
	}
	return "nats://" + b.srv.Addr().String()
}

// Close closes all connections and stops the broker, and waits until its data is written.
// It is idempotent, and every call returns the same.
func (b *Broker) Close() error { return b.close() }

// shutdown does the work of Close.
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

// errorLog is the broker's logger. It keeps the first error and drops everything else.
type errorLog chan string

func (l errorLog) keep(format string, v ...any) {
	select {
	case l <- fmt.Sprintf(format, v...):
	default:
	}
}

func (l errorLog) Errorf(format string, v ...any) { l.keep(format, v...) }
func (l errorLog) Fatalf(format string, v ...any) { l.keep(format, v...) }
func (errorLog) Noticef(string, ...any)           {}
func (errorLog) Warnf(string, ...any)             {}
func (errorLog) Debugf(string, ...any)            {}
func (errorLog) Tracef(string, ...any)            {}
