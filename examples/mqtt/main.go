// Command mqtt is a broker for MQTT 3.1.1 and 5. See README.md.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// settings are the flags.
type settings struct {
	addr, tlsAddr, cert, key, clientCA string

	maxKeepAlive int    // in seconds, for clients of version 5; 0: any
	deny         string // a filter to which nobody may subscribe; "": none
	file         string // for the store; "": none
	nats, name   string // the address of the cluster's brokers, and the name of this node; "": no cluster
}

func main() {
	var o settings
	flag.StringVar(&o.addr, "addr", "127.0.0.1:1883", "listen on this `host:port`; port 0 takes a free one")
	flag.StringVar(&o.tlsAddr, "tls-addr", "", "listen for TLS on this `host:port`")
	flag.StringVar(&o.cert, "cert", "", "the server's certificate: a PEM `file`")
	flag.StringVar(&o.key, "key", "", "its key: a PEM `file`")
	flag.StringVar(&o.clientCA, "client-ca", "", "require client certificates of the authorities in this PEM `file`; the common name is the client ID")
	flag.IntVar(&o.maxKeepAlive, "max-keep-alive", 0, "the longest keep-alive of a client of version 5, in `seconds`; 0 means any")
	flag.StringVar(&o.deny, "deny", "", "refuse subscriptions to this `filter`")
	flag.StringVar(&o.file, "store", "", "keep sessions and retained messages in this `file`")
	flag.StringVar(&o.nats, "cluster", "", "share the sessions and messages of a cluster through NATS at this `URL`")
	flag.StringVar(&o.name, "node", "", "the `name` of this node in the cluster, which no other has")
	flag.Parse() // exits with status 2 when a flag is wrong
	if o.maxKeepAlive < 0 || o.maxKeepAlive > 65535 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "mqtt: --max-keep-alive must be from 0 to 65535 seconds, and there are no arguments except flags")
		os.Exit(2)
	}
	if (o.nats == "") != (o.name == "") || o.nats != "" && o.file != "" {
		fmt.Fprintln(os.Stderr, "mqtt: --cluster and --node belong together, and --store cannot be combined with them")
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "mqtt:", err)
		os.Exit(1)
	}
}

// run serves until SIGINT or SIGTERM.
func run(o settings) error {
	signaled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listeners, err := o.listen()
	if err != nil {
		return err
	}
	b, err := newBroker(signaled, o)
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
func (o *settings) listen() (ls []net.Listener, err error) {
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return nil, fmt.Errorf("--addr %s: %w", o.addr, err)
	}
	if o.tlsAddr == "" {
		return []net.Listener{l}, nil
	}
	cert, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, fmt.Errorf("--cert, --key: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	if o.clientCA != "" {
		pem, err := os.ReadFile(o.clientCA)
		if err != nil {
			return nil, fmt.Errorf("--client-ca: %w", err)
		}
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--client-ca %s: no certificate", o.clientCA)
		}
	}
	secure, err := tls.Listen("tcp", o.tlsAddr, config)
	if err != nil {
		return nil, fmt.Errorf("--tls-addr %s: %w", o.tlsAddr, err)
	}
	return []net.Listener{l, secure}, nil
}
