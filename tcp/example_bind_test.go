package tcp_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// A login gives a session the ID of its user, and closes the session that had it.
func ExampleSession_Bind() {
	closed := make(chan string, 1)
	srv := &tcp.Server{
		OnMessage: func(s *tcp.Session, user []byte) {
			if err := s.Bind(context.Background(), string(user), nil); err != nil {
				s.Close("Refused")
				return
			}
			_ = s.Send([]byte("welcome\n")) // if it fails, the session is closed
		},
		OnSessionClosed: func(s *tcp.Session, r pool.Reason) {
			closed <- fmt.Sprintf("session %d of %s: %s", s.ID(), s.BoundID(), r)
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()

	login := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(c, "ann")
		answer, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Printf("%q\n", answer)
		return c
	}
	defer login().Close()
	defer login().Close()
	fmt.Println(<-closed)
	s, ok := srv.Bound("ann")
	fmt.Println("ann is session", s.ID(), ok)

	fmt.Println(srv.Shutdown(context.Background()), <-closed)
	<-served
	t := srv.Traffic()
	fmt.Println("bytes in", t.BytesIn, "out", t.BytesOut, "frames in", t.FramesIn, "out", t.FramesOut)
	// Output:
	// "welcome\n"
	// "welcome\n"
	// session 1 of ann: Replaced
	// ann is session 2 true
	// <nil> session 2 of ann: Shutdown
	// bytes in 8 out 16 frames in 2 out 2
}
