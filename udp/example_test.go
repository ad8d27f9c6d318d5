package udp_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// A server that echoes datagrams, and says goodbye to whom it forgets.
func Example() {
	srv := &udp.Server{
		IdleTimeout: time.Minute,
		OnMessage: func(s *udp.Session, p []byte) {
			_ = s.Send(p) // what is lost is lost
		},
		OnSessionClosed: func(s *udp.Session, r pool.Reason) {
			_ = s.Send([]byte("bye: " + r))
		},
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- srv.Serve(pc) }()

	c, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	p := make([]byte, 100)
	fmt.Fprint(c, "hello")
	n, err := c.Read(p)
	fmt.Printf("%s %v\n", p[:n], err)

	fmt.Println(srv.Shutdown(context.Background()))
	fmt.Println(<-served)
	n, err = c.Read(p)
	fmt.Printf("%s %v\n", p[:n], err)
	// Output:
	// hello <nil>
	// <nil>
	// udp: the server is shut down
	// bye: Shutdown <nil>
}

// A peer that has not proved itself yet, by sending back what only it was told,
// is remembered for a few seconds only: its address may be somebody else's.
func ExampleSession_SetIdleTimeout() {
	srv := &udp.Server{
		OnNewSessionRegister: func(s *udp.Session) {
			s.SetIdleTimeout(3 * time.Second)
		},
		OnMessage: func(s *udp.Session, p []byte) {
			if proves(s, p) {
				s.SetIdleTimeout(0) // the server's
			}
		},
	}
	fmt.Println(srv.Close())
	// Output: <nil>
}

func proves(*udp.Session, []byte) bool { return true }
