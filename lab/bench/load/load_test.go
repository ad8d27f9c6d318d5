package load

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// echoServer echoes what it receives until the test ends, each connection's next bytes
// only after delay has returned. It returns its address.
func echoServer(t *testing.T, delay func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // until l is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // until c is closed
				buf := make([]byte, 1024)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					delay()
					if _, err := c.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestRun_CountsEchoes(t *testing.T) {
	frame := Frame(10)
	conns, err := Dial(t.Context(), echoServer(t, func() {}), 3, frame)
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

func TestWake_TellsTheFirstRoundTripsFromThoseOfTheActiveConnection(t *testing.T) {
	const every = 25 * time.Millisecond
	var echoes atomic.Int64
	frame := Frame(10)
	addr := echoServer(t, func() {
		if n := echoes.Add(1); n > 6 && n%2 == 1 { // after Dial, each second one: the connections that were silent
			time.Sleep(20 * time.Millisecond)
		}
	})
	conns, err := Dial(t.Context(), addr, 6, frame)
	if err != nil {
		t.Fatal(err)
	}
	defer conns.Close()
	start := time.Now()
	silent, busy, err := conns[:5].Wake(t.Context(), conns[5], frame, every)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 9*every {
		t.Errorf("ten round trips, one each %v, took %v", every, took)
	}
	if silent.Frames != 5 || busy.Frames != 5 {
		t.Errorf("%d frames of connections that were silent, and %d of the other", silent.Frames, busy.Frames)
	}
	if least := silent.Quantile(0); least < 20*time.Millisecond || busy.Quantile(0) >= least {
		t.Errorf("the shortest round trips took %v and %v", least, busy.Quantile(0))
	}
}

func TestClose_ResetsConnectionsOverTLSToo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	Conns{tls.Client(client, &tls.Config{InsecureSkipVerify: true})}.Close()
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server reads %v", err)
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
