package load

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestRun_CountsEchoes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // until l is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }() // until c is closed
		}
	}()
	frame := Frame(10)
	conns, err := Dial(t.Context(), l.Addr().String(), 3, frame)
	if err != nil {
		t.Fatal(err)
	}
	defer conns.Close()
	r, err := conns.Run(t.Context(), frame, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if r.Frames < 3 || r.Took < 50*time.Millisecond {
		t.Errorf("%d frames in %v", r.Frames, r.Took)
	}
	if p50, p99 := r.Quantile(0.5), r.Quantile(0.99); p50 <= 0 || p50 > p99 {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
}

func TestDial_FailsWithoutAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if _, err := Dial(t.Context(), l.Addr().String(), 1, Frame(1)); err == nil {
		t.Error("Dial returned no error")
	}
}
