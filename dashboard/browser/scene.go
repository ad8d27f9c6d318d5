package browser

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// Scene is a TCP server that echoes lines, with its page beside it.
type Scene struct {
	Server *tcp.Server
	Wheel  *wheel.Wheel
	Addr   string // of the TCP server
	Page   *Page

	served chan error
}

// NewScene makes a scene, which Close ends. Its sessions may be closed from the
// page if closable is set.
func NewScene(title string, idle time.Duration, closable bool) (*Scene, error) {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return nil, err
	}
	s := &Scene{Wheel: w, served: make(chan error, 1)}
	s.Server = &tcp.Server{
		Wheel: w, IdleTimeout: idle,
		OnMessage: func(s *tcp.Session, line []byte) { _ = s.Send(append(line, '\n')) }, // a peer that is gone has closed the session
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Close()
		return nil, err
	}
	s.Addr = ln.Addr().String()
	go func() { s.served <- s.Server.Serve(ln) }() // ended and waited for by Close
	config := dashboard.Config{Title: title, Source: dashboard.Server(s.Server), Wheel: w}
	if closable {
		config.Authorize = func(*http.Request) error { return nil }
	}
	if s.Page, err = NewPage(config, "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends the scene, its sessions included.
func (s *Scene) Close() error {
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

// Page is a dashboard that is served.
type Page struct {
	Addr string
	URL  string

	handler *dashboard.Handler
	server  *http.Server
	served  chan error
}

// NewPage serves a dashboard at addr, until Close.
func NewPage(c dashboard.Config, addr string) (*Page, error) {
	h, err := dashboard.New(c)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		h.Close()
		return nil, err
	}
	p := &Page{
		Addr: ln.Addr().String(), URL: "http://" + ln.Addr().String() + "/", handler: h,
		server: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute},
		served: make(chan error, 1),
	}
	go func() { p.served <- p.server.Serve(ln) }() // ended and waited for by Close
	return p, nil
}

// Close cuts all connections of the page and waits for its goroutines.
func (p *Page) Close() error {
	err := p.server.Close()
	p.handler.Close()
	<-p.served
	return err
}
