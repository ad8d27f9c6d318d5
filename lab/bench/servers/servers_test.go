package servers

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/load"
	"github.com/sessionwheel/sessionwheel/tcp"
)

func TestImpl_EchoesFrames(t *testing.T) {
	for _, impl := range All() {
		t.Run("server="+impl.Name, func(t *testing.T) {
			addr, stop, err := impl.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			checkEcho(t, c)
		})
	}
}

func TestImpl_EchoesFramesOverTLSOrSaysWhyNot(t *testing.T) {
	for _, impl := range All() {
		t.Run("server="+impl.Name, func(t *testing.T) {
			if (impl.StartTLS == nil) != (impl.NoTLS != "") {
				t.Fatalf("it has StartTLS: %v; NoTLS is %q", impl.StartTLS != nil, impl.NoTLS)
			}
			if impl.StartTLS == nil {
				return
			}
			addr, stop, err := impl.StartTLS()
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			checkEcho(t, c)
		})
	}
}

// checkEcho sends frames in pieces, and fails the test unless they come back.
func checkEcho(t *testing.T, c net.Conn) {
	t.Helper()
	err := c.SetDeadline(time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var sent []byte
	for _, n := range []int{0, 1, 64, 3000, 40_000} {
		if sent, err = tcp.AppendFrame(sent, bytes.Repeat([]byte("x"), n)); err != nil {
			t.Fatal(err)
		}
	}
	go func() { // in pieces that split frames and headers
		for p := sent; len(p) > 0; {
			n := min(len(p), 1021)
			if _, err := c.Write(p[:n]); err != nil {
				t.Error(err)
				return
			}
			p = p[n:]
			time.Sleep(time.Millisecond)
		}
	}()
	got := make([]byte, len(sent))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("%d of %d bytes came back: %v", n, len(sent), err)
	}
	if !bytes.Equal(got, sent) {
		t.Error("the echo differs from what was sent")
	}
}

func TestBroadcaster_DeliversEachMessageInOrderAndClosesWhoDoesNotRead(t *testing.T) {
	const readers, size = 10, 4096
	for _, impl := range Broadcasters() {
		t.Run("server="+impl.Name, func(t *testing.T) {
			addr, h, err := impl.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer h.Stop()
			s, err := load.Subscribe(t.Context(), addr, readers, size)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			slow, err := load.Connect(t.Context(), addr, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer slow.Close()
			await(t, "the subscribers", func() bool { return h.Len() == readers+1 })
			frame := load.Frame(size - header)
			for i := range uint64(4000) { // 16 MB: more than the sockets and the bound together
				load.Message(frame, i)
				h.Post(frame)
				if !s.Wait(t.Context(), readers*int(i+1), time.Minute) {
					t.Fatalf("message %d: %d have arrived, %d readers are lost", i, s.Delivered(), s.Lost())
				}
			}
			await(t, "the close of the slow one", func() bool { return h.Slow() == 1 && h.Len() == readers })
			if s.Lost() > 0 {
				t.Errorf("%d readers are lost", s.Lost())
			}
		})
	}
}

// await waits until ok reports true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

func TestPackage_PrintsNothingWhenItIsLinked(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd := exec.Command(exe, "-test.list=^$")
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Errorf("%v: %s", err, errs.String())
	}
	if os.Stderr.Name() == os.DevNull {
		t.Error("os.Stderr is still muted")
	}
}

func TestWholeFrames_CountsOnlyCompleteFrames(t *testing.T) {
	frame, _ := tcp.AppendFrame(nil, []byte("hello"))
	for _, tt := range []struct {
		name string
		data []byte
		n    int
		ok   bool
	}{
		{"nothing", nil, 0, true},
		{"a part of a header", frame[:3], 0, true},
		{"a part of a frame", frame[:8], 0, true},
		{"a frame", frame, len(frame), true},
		{"a frame and a part", append(bytes.Clone(frame), frame[:5]...), len(frame), true},
		{"two frames", append(bytes.Clone(frame), frame...), 2 * len(frame), true},
		{"a wrong marker", []byte("hello"), 0, false},
	} {
		if n, ok := wholeFrames(tt.data); n != tt.n || ok != tt.ok {
			t.Errorf("%s: %d, %v; want %d, %v", tt.name, n, ok, tt.n, tt.ok)
		}
	}
}
