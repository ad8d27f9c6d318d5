package proxyproto_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/sessionwheel/sessionwheel/proxyproto"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// A server behind a proxy that runs on the same machine.
func Example() {
	srv := &tcp.Server{
		MaxSessionsPerIP: 10, // of clients, not of the proxy
		OnMessage: func(s *tcp.Session, line []byte) {
			_ = s.Send(fmt.Appendf(nil, "%s from %v\n", line, s.RemoteAddr())) // a failure closes the session
		},
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := proxyproto.New(inner, proxyproto.Config{
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()

	c, err := net.Dial("tcp", l.Addr().String()) // as the proxy does
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "PROXY TCP4 203.0.113.7 198.51.100.2 56324 443\r\nhello\n")
	p := make([]byte, 100)
	n, err := c.Read(p)
	fmt.Printf("%s%v\n", p[:n], err)

	fmt.Println(srv.Shutdown(context.Background()))
	fmt.Println(<-served)
	// Output:
	// hello from 203.0.113.7:56324
	// <nil>
	// <nil>
	// tcp: server closed
}
