package tcp_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// A server that echoes lines and closes sessions that are silent for a minute.
func Example() {
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

func ExampleScanFrames() {
	frames := bufio.NewScanner(bytes.NewReader([]byte("$\x00\x05#hello$\x00\x00#$\x00\x01#!")))
	frames.Split(tcp.ScanFrames)
	for frames.Scan() {
		fmt.Printf("%q\n", frames.Text())
	}
	fmt.Println(frames.Err())
	// Output:
	// "hello"
	// ""
	// "!"
	// <nil>
}

func ExampleAppendFrame() {
	frame, err := tcp.AppendFrame(nil, []byte("hello"))
	fmt.Printf("%q %v\n", frame, err)
	// Output: "$\x00\x05#hello" <nil>
}

// For other frames, write a bufio.SplitFunc.
func ExampleServer_split() {
	srv := &tcp.Server{
		Split:    tcp.ScanFrames,
		MaxFrame: 4 + 1024, // the header and the longest body of this protocol
		OnMessage: func(s *tcp.Session, body []byte) {
			reply, err := tcp.AppendFrame(nil, body)
			if err == nil {
				_ = s.Send(reply)
			}
		},
		OnError: func(_ *tcp.Session, err error) { fmt.Println(err) },
	}
	fmt.Println(srv.Close())
	// Output: <nil>
}

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
