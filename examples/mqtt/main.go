// Command mqtt is a broker for MQTT 3.1.1 and 5. See README.md.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/docker/go-connections/tlsconfig"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// flags are what the command line says.
type flags struct {
	Addr         string `default:"127.0.0.1:1883" help:"Listen here. Port 0 takes a free one."`
	TLSAddr      string `placeholder:"HOST:PORT" help:"Listen for TLS here."`
	Cert         string `placeholder:"FILE" help:"The server's certificate, in PEM."`
	Key          string `placeholder:"FILE" help:"Its key, in PEM."`
	ClientCA     string `placeholder:"FILE" help:"Require certificates of these authorities. Their common name is the client ID."`
	MaxKeepAlive uint16 `placeholder:"SECONDS" help:"The longest keep-alive of a client of version 5. 0 means any."`
	Deny         string `placeholder:"FILTER" help:"Refuse subscriptions to this filter."`
	Store        string `placeholder:"FILE" xor:"place" help:"Keep sessions and retained messages in this file."`
	Cluster      string `placeholder:"URL" xor:"place" and:"node" help:"Share sessions and messages through NATS at this URL."`
	Node         string `placeholder:"NAME" and:"node" help:"The name of this node in the cluster, which no other has."`
}

func main() {
	var f flags
	// kong's status for flags that are wrong is higher than 2.
	kong.Parse(&f, kong.Name("mqtt"), kong.Exit(func(status int) { os.Exit(min(status, 2)) })).FatalIfErrorf(f.run())
}

// run serves until SIGINT or SIGTERM.
func (f *flags) run() error {
	signaled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listeners, err := f.listen()
	if err != nil {
		return err
	}
	b, err := newBroker(signaled, f)
	if err != nil {
		return err
	}
	for _, l := range listeners {
		fmt.Fprintln(os.Stderr, "mqtt: listening on", l.Addr())
	}
	ctx, drain := context.WithCancel(context.Background())
	context.AfterFunc(signaled, func() {
		stop() // another signal ends the process
		fmt.Fprintln(os.Stderr, "mqtt: shutting down")
		drain()
	})
	return errors.Join(b.Run(ctx, listeners...), b.close())
}

// listen opens the listeners.
func (f *flags) listen() ([]net.Listener, error) {
	plain, err := net.Listen("tcp", f.Addr)
	if err != nil || f.TLSAddr == "" {
		return []net.Listener{plain}, err
	}
	options := tlsconfig.Options{CertFile: f.Cert, KeyFile: f.Key, CAFile: f.ClientCA, ExclusiveRootPools: true}
	if f.ClientCA != "" {
		options.ClientAuth = tls.RequireAndVerifyClientCert
	}
	config, err := tlsconfig.Server(options)
	if err != nil {
		return nil, fmt.Errorf("--cert, --key, --client-ca: %w", err)
	}
	secure, err := tls.Listen("tcp", f.TLSAddr, config)
	return []net.Listener{plain, secure}, err
}

// broker is the broker. One wheel holds the keep-alives, the session expiries and the delays of
// the wills.
//
// Lock order: mu, then that of a session.
type broker struct {
	tcp.Server
	flags    *flags
	sessions *pool.Pool[string, *session] // by client ID
	store    *store                       // nil: none
	node     *cluster.Node                // nil: none
	local    cluster.LocalPool[*session]  // the sessions, for the other nodes

	mu sync.RWMutex
	// Guarded by mu.
	topics   level
	retained map[string]*message // by topic
}

func newBroker(ctx context.Context, f *flags) (*broker, error) {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return nil, err
	}
	b := &broker{flags: f, retained: make(map[string]*message)}
	b.Wheel, b.Split, b.MaxFrame, b.MaxOutbound, b.IdleTimeout = w, framing.Split, maxPacket, maxOutbound, connectTimeout
	b.FlushInterval = time.Millisecond // messages that follow each other closely are one write
	b.Activity = tcp.Received          // what is sent to a client says nothing about it
	b.OnMessage, b.Farewell, b.OnSessionClosed = b.receive, b.farewell, b.detach
	config := pool.Config[string, *session]{Wheel: w, IdleTimeout: -1, OnSessionClosed: b.sessionEnded}
	if f.Cluster != "" {
		if err = b.join(ctx); err != nil {
			return nil, err
		}
		config.Directory = b.node
	}
	if b.sessions, err = pool.New(config); err == nil {
		b.local.Use(b.sessions)
	}
	if err == nil && f.Store != "" {
		err = b.openStore(f.Store)
	}
	return b, err
}

// close ends the sessions. The connections have ended.
func (b *broker) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := b.sessions.Shutdown(ctx)
	b.Wheel.Close()
	if b.store != nil {
		err = errors.Join(err, b.store.close())
	}
	if b.node != nil {
		err = errors.Join(err, b.node.Leave(ctx))
	}
	return err
}
