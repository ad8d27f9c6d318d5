package browser

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// EchoServer is a TCP server that echoes lines, with its dashboard. It does not answer a line
// that begins with '#', so that it takes many of these even on a slow machine.
type EchoServer struct {
	Server *tcp.Server
	Wheel  *wheel.Wheel
	Addr   string // of the TCP server
	Page   *Page

	served chan error
}

// StartEchoServer starts an EchoServer, which Close ends. It adds the Source and the
// Wheel to the configuration of the dashboard.
func StartEchoServer(idle time.Duration, c dashboard.Config) (*EchoServer, error) {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return nil, err
	}
	s := &EchoServer{Wheel: w, served: make(chan error, 1)}
	s.Server = &tcp.Server{
		Wheel: w, IdleTimeout: idle,
		OnMessage: func(s *tcp.Session, line []byte) {
			if !bytes.HasPrefix(line, []byte("#")) {
				_ = s.Send(append(line, '\n')) // on an error the session is closed
			}
		},
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Close()
		return nil, err
	}
	s.Addr = ln.Addr().String()
	go func() { s.served <- s.Server.Serve(ln) }() // Close ends it and waits for it
	c.Source, c.Wheel = dashboard.Server(s.Server), w
	if s.Page, err = ServePage(c, "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends the server, its sessions and its dashboard.
func (s *EchoServer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if s.Page != nil {
		err = s.Page.Close()
	}
	err = errors.Join(err, s.Server.Shutdown(ctx))
	<-s.served
	s.Wheel.Close()
	return err
}

// Page is a dashboard with an HTTP server of its own.
type Page struct {
	Addr string
	URL  string

	dashboard *dashboard.Handler
	server    *http.Server
	served    chan error
}

// ServePage serves a dashboard at addr until Close.
func ServePage(c dashboard.Config, addr string) (*Page, error) {
	d, err := dashboard.New(c)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		d.Close()
		return nil, err
	}
	p := &Page{
		Addr: ln.Addr().String(), URL: "http://" + ln.Addr().String() + "/", dashboard: d,
		server: &http.Server{Handler: d, ReadHeaderTimeout: time.Minute},
		served: make(chan error, 1),
	}
	go func() { p.served <- p.server.Serve(ln) }() // Close ends it and waits for it
	return p, nil
}

// Close closes all connections of the page and waits for its goroutines.
func (p *Page) Close() error {
	err := p.server.Close()
	p.dashboard.Close()
	<-p.served
	return err
}
