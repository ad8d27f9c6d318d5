package udp_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// A server that echoes datagrams, and tells a peer when its session ends.
func Example() {
	srv := &udp.Server{
		IdleTimeout: time.Minute,
		OnMessage: func(s *udp.Session, p []byte) {
			_ = s.Send(p) // a lost datagram is not an error in this protocol
		},
		Farewell: func(_ *udp.Session, r pool.Reason) []byte {
			return []byte("bye: " + r)
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
	// udp: server closed
	// bye: Shutdown <nil>
}

// A session of a peer that has not proved its address yet lasts for a few seconds
// only, because the address may be spoofed. A peer proves its address by sending
// back something that was sent to it.
func ExampleSession_SetIdleTimeout() {
	srv := &udp.Server{
		OnNewSessionRegister: func(s *udp.Session) {
			s.SetIdleTimeout(3 * time.Second)
		},
		OnMessage: func(s *udp.Session, p []byte) {
			if proves(s, p) {
				s.SetIdleTimeout(0) // the server's idle timeout
			}
		},
	}
	fmt.Println(srv.Close())
	// Output: <nil>
}

func proves(*udp.Session, []byte) bool { return true }
