package tcptest_test

import (
	"bufio"
	"context"
	"fmt"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/tcp/tcptest"
)

// A server that echoes lines learns that one peer has hung up and another is gone.
func Example() {
	closed := make(chan pool.Reason)
	srv := &tcp.Server{
		OnMessage: func(s *tcp.Session, line []byte) {
			_ = s.Send(append(line, '\n')) // if it fails, the session is closed
		},
		OnSessionClosed: func(_ *tcp.Session, r pool.Reason) { closed <- r },
	}
	l := tcptest.Listen()
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()

	for _, leave := range []func(*tcptest.Conn) error{(*tcptest.Conn).CloseWrite, (*tcptest.Conn).Cut} {
		c, err := l.Dial()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Fprintln(c, "hello")
		line, err := bufio.NewReader(c).ReadString('\n')
		fmt.Printf("%v: %q %v\n", c.LocalAddr(), line, err)
		fmt.Println(leave(c), <-closed)
		_ = c.Close() // the second is closed already
	}

	fmt.Println(srv.Shutdown(context.Background()))
	fmt.Println(<-served)
	// Output:
	// 127.0.0.1:1024: "hello\n" <nil>
	// <nil> EOF
	// 127.0.0.1:1025: "hello\n" <nil>
	// <nil> Error
	// <nil>
	// tcp: server closed
}
