package tcp_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// A server that echoes lines and closes who is silent for a minute.
func Example() {
	srv := &tcp.Server{
		IdleTimeout: time.Minute,
		OnMessage: func(s *tcp.Session, line []byte) {
			_ = s.Send(append(line, '\n')) // a peer that is gone has closed the session
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
	// tcp: the server is shut down
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

// Frames of one's own need a bufio.SplitFunc.
func ExampleServer_split() {
	srv := &tcp.Server{
		Split:    tcp.ScanFrames,
		MaxFrame: 4 + 1024, // the header and the largest body that makes sense here
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
