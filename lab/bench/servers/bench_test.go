package servers

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// BenchmarkEcho sends a frame of 64 bytes over one connection and waits for the
// echo. The client and the server share a process.
func BenchmarkEcho(b *testing.B) {
	frame, err := tcp.AppendFrame(nil, bytes.Repeat([]byte("x"), 64))
	if err != nil {
		b.Fatal(err)
	}
	for _, impl := range All() {
		b.Run("impl="+impl.Name, func(b *testing.B) {
			addr, stop, err := impl.Start()
			if err != nil {
				b.Fatal(err)
			}
			defer stop()
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			buf := make([]byte, len(frame))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(frame); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
