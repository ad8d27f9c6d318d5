package tcp_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// chat serves a chat room on l until ctx ends.
func chat(ctx context.Context, l net.Listener) error {
	var room tcp.Group
	srv := &tcp.Server{
		OnNewSessionRegister: func(s *tcp.Session) { room.Add(s) },
		OnMessage: func(s *tcp.Session, line []byte) {
			room.Post(fmt.Appendf(nil, "%d: %s\n", s.ID(), line)) // waits for nobody
		},
		Farewell: func(_ *tcp.Session, why pool.Reason) []byte { // at a timeout or a shutdown
			return fmt.Appendf(nil, "goodbye: %s\n", why)
		},
	}
	return srv.Run(ctx, l)
}

// A chat room: each line goes to all members. A member that does not read delays nobody and is
// closed as slow. A member that is silent for five minutes is closed. Each member is told why
// its session ends.
func Example() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- chat(ctx, l) }()

	ann, hears := join(l)
	fmt.Fprintln(ann, "hello?")
	hears()
	bob, _ := join(l)
	fmt.Fprintln(bob, "hello, one")
	hears()
	stop()
	hears()
	fmt.Println(<-stopped)
	// Output:
	// "1: hello?\n" <nil>
	// "2: hello, one\n" <nil>
	// "goodbye: Shutdown\n" <nil>
	// <nil>
}

// join returns a connection to the room, and what prints the next line that it gets.
func join(l net.Listener) (conn net.Conn, hears func()) {
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	lines := bufio.NewReader(conn)
	return conn, func() {
		line, err := lines.ReadString('\n')
		fmt.Printf("%q %v\n", line, err)
	}
}
