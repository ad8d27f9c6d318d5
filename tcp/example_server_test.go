package tcp_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// A server that echoes lines and closes sessions that are silent for a minute.
func ExampleServer() {
	srv := &tcp.Server{
		IdleTimeout: time.Minute,
		OnMessage: func(s *tcp.Session, line []byte) {
			_ = s.Send(append(line, '\n')) // if it fails, the session is closed
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprintln(c, "hello")
	line, err := bufio.NewReader(c).ReadString('\n')
	fmt.Printf("%q %v\n", line, err)

	fmt.Println(srv.Shutdown(context.Background()))
	fmt.Println(<-served)
	// Output:
	// "hello\n" <nil>
	// <nil>
	// tcp: server closed
}
