package tcp_test

import (
	"bufio"
	"bytes"
	"fmt"

	"github.com/sessionwheel/sessionwheel/tcp"
)

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
