package netserver

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestNetwork(t *testing.T) {
	for _, tt := range []struct{ ip, want string }{
		{"192.0.2.7", "192.0.2.7"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"fe80::1%eth0", "fe80::"},
	} {
		if got := Network(netip.MustParseAddr(tt.ip)); got != netip.MustParseAddr(tt.want) {
			t.Errorf("Network(%s) = %v, want %s", tt.ip, got, tt.want)
		}
	}
	if got := Network(netip.Addr{}); got.IsValid() {
		t.Errorf("Network of the zero Addr = %v", got)
	}
}

// text is an address of a package that is not net.
type text string

func (text) Network() string  { return "test" }
func (t text) String() string { return string(t) }

func TestAddrPort(t *testing.T) {
	want := netip.MustParseAddrPort("192.0.2.7:80")
	for _, a := range []net.Addr{net.TCPAddrFromAddrPort(want), net.UDPAddrFromAddrPort(want), text("192.0.2.7:80")} {
		if got := AddrPort(a); got != want {
			t.Errorf("AddrPort(%T) = %v, want %v", a, got, want)
		}
	}
	for _, a := range []net.Addr{nil, (*net.TCPAddr)(nil), text("pipe"), &net.UnixAddr{Name: "/socket", Net: "unix"}} {
		if got := AddrPort(a); got.IsValid() {
			t.Errorf("AddrPort(%#v) = %v", a, got)
		}
	}
	a := net.Addr(net.TCPAddrFromAddrPort(want))
	if n := testing.AllocsPerRun(100, func() { AddrPort(a) }); n != 0 {
		t.Errorf("AddrPort(%T) allocates %v times", a, n)
	}
}

func TestBackoff_DoublesUntilASecondAndBeginsAgainAfterReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Backoff
		var pauses []time.Duration
		pause := func() {
			start := time.Now()
			if !b.Wait(nil) {
				t.Error("Wait reports false though nothing was closed")
			}
			pauses = append(pauses, time.Since(start))
		}
		for range 10 {
			pause()
		}
		b.Reset()
		pause()
		const ms = time.Millisecond
		want := []time.Duration{5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second, 5 * ms}
		if !slices.Equal(pauses, want) {
			t.Errorf("paused for %v, want %v", pauses, want)
		}
	})
}

func TestBackoff_WaitEndsWhenStopIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Backoff
		stop := make(chan struct{})
		time.AfterFunc(2*time.Millisecond, func() { close(stop) })
		start := time.Now()
		if b.Wait(stop) || time.Since(start) != 2*time.Millisecond {
			t.Errorf("Wait did not end with stop, but after %v", time.Since(start))
		}
	})
}

func TestPanicError(t *testing.T) {
	e := NewPanicError("tcp", os.ErrInvalid, []byte("stack"))
	if got, want := e.Error(), "tcp: callback panicked: invalid argument"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !errors.Is(e, os.ErrInvalid) || string(e.Stack) != "stack" {
		t.Errorf("%#v lacks what it was made with", e)
	}
	if e := (&PanicError{Value: 7}); e.Error() != "callback panicked: 7" || e.Unwrap() != nil {
		t.Errorf("Error() = %q, Unwrap() = %v", e.Error(), e.Unwrap())
	}
}

func TestEnds(t *testing.T) {
	var (
		ends        Ends[int]
		first, rest bool
	)
	done := ends.Done(1, &first)
	if again := ends.Done(1, &first); again != done {
		t.Error("a second Done returned another channel")
	}
	ends.End(2, &rest)
	select {
	case <-done:
		t.Error("the end of another session closed the channel")
	default:
	}
	ends.End(1, &first)
	<-done
	<-ends.Done(1, &first)
	if n := len(ends.asked); n != 0 {
		t.Errorf("%d channels are kept after the end", n)
	}
	if n := ends.Count(); n != 2 {
		t.Errorf("%d sessions have ended, and not 2", n)
	}
}
