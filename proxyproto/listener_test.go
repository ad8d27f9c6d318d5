package proxyproto

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

func next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "it did not happen")
		panic("unreachable")
	}
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// listen returns a Listener on a socket and a channel of the errors that its OnError
// is called with. It trusts the loopback and is patient unless c says otherwise.
func listen(t testing.TB, c Config) (*Listener, chan error) {
	t.Helper()
	told := make(chan error, 10_000)
	c.OnError = func(err error) { told <- err }
	if c.Trusted == nil {
		c.Trusted = loopback
	}
	if c.HeaderTimeout == 0 {
		c.HeaderTimeout = patience
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l, err := New(inner, c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l, told
}

func dial(t testing.TB, l net.Listener, first string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	send(t, c, first)
	return c
}

func send(t testing.TB, c net.Conn, s string) {
	t.Helper()
	_, err := io.WriteString(c, s)
	require.NoError(t, err)
}

func accept(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	conns := make(chan net.Conn, 1)
	go func() { // ends with the connection, or when the test closes the listener
		if c, err := l.Accept(); err == nil {
			conns <- c
		}
	}()
	c := next(t, conns)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func receive(t testing.TB, c net.Conn, want string) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
	require.NoError(t, c.SetReadDeadline(time.Time{}))
}

func gone(t testing.TB, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the connection is still open")
}

func TestAccept_ReturnsConnectionsWithTheAddressesOfTheirHeaders(t *testing.T) {
	l, told := listen(t, Config{})
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			mine := dial(t, l, tt.header+"hello")
			c := accept(t, l)
			beneath := c.(*Conn).NetConn()
			require.Equal(t, mine.LocalAddr().String(), beneath.RemoteAddr().String())
			if tt.remote == "" {
				require.Equal(t, mine.LocalAddr().String(), c.RemoteAddr().String())
				require.Equal(t, mine.RemoteAddr().String(), c.LocalAddr().String())
			} else {
				require.Equal(t, tt.remote, c.RemoteAddr().String())
				require.Equal(t, tt.local, c.LocalAddr().String())
			}
			require.IsType(t, &net.TCPConn{}, beneath)
			receive(t, c, "hello")
			send(t, c, "world")
			receive(t, mine, "world")
		})
	}
	require.Empty(t, told)
}

func TestHeader_CutAtAnyByteIsTheSame(t *testing.T) {
	l, told := listen(t, Config{})
	for _, tt := range headers {
		if len(tt.header) > maxV1 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			var mine []net.Conn
			for cut := range len(tt.header) {
				mine = append(mine, dial(t, l, tt.header[:cut]))
			}
			time.Sleep(20 * time.Millisecond) // so that most parts are read separately
			for cut, c := range mine {
				send(t, c, tt.header[cut:]+"hello")
			}
			for range mine {
				c := accept(t, l)
				if tt.remote != "" {
					require.Equal(t, tt.remote, c.RemoteAddr().String())
				}
				receive(t, c, "hello")
			}
		})
	}
	require.Empty(t, told)
}

func TestHeader_ThatIsInvalidClosesTheConnectionAndIsReported(t *testing.T) {
	l, told := listen(t, Config{})
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			mine := dial(t, l, tt.header)
			err := next(t, told)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, mine.LocalAddr().String())
			gone(t, mine)
		})
	}
	dial(t, l, "PROXY UNKNOWN\r\n")
	accept(t, l) // the only good one
	require.Empty(t, told)
}

func TestAccept_DoesNotWaitForHeadersThatDoNotArrive(t *testing.T) {
	l, told := listen(t, Config{HeaderTimeout: time.Hour})
	var silent []net.Conn
	for _, first := range []string{"", "P", "PROXY TCP4 1", string("\r\n\r\n\x00\r\nQUIT\n")} {
		for range 20 {
			silent = append(silent, dial(t, l, first))
		}
	}
	for range 20 {
		dial(t, l, headers[0].header)
		require.Equal(t, headers[0].remote, accept(t, l).RemoteAddr().String())
	}
	require.NoError(t, l.Close())
	for _, c := range silent {
		gone(t, c)
	}
	require.Empty(t, told)
}

func TestHeaderTimeout_ClosesSocketsWhoseHeaderDoesNotArrive(t *testing.T) {
	t.Parallel() // it waits for the timeout
	l, told := listen(t, Config{HeaderTimeout: 100 * time.Millisecond})
	for _, first := range []string{"", "PROXY TCP4 1"} {
		mine := dial(t, l, first)
		require.ErrorIs(t, next(t, told), ErrHeaderTimeout)
		gone(t, mine)
	}
	trickle := dial(t, l, "")
	header := headers[7].header // the longest
	for i := 0; len(told) == 0; i++ {
		require.Less(t, i, len(header))
		_, _ = io.WriteString(trickle, header[i:i+1]) // it may be closed already
		time.Sleep(5 * time.Millisecond)
	}
	require.ErrorIs(t, next(t, told), ErrHeaderTimeout)
	gone(t, trickle)
}

func TestOthers_RefuseClosesAPeerThatIsNotTrustedWhateverItSends(t *testing.T) {
	l, told := listen(t, Config{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for _, first := range []string{"", headers[0].header, headers[4].header, "hello"} {
		mine := dial(t, l, first)
		err := next(t, told)
		require.ErrorIs(t, err, ErrUntrusted)
		require.ErrorContains(t, err, mine.LocalAddr().String())
		gone(t, mine)
	}
}

func TestOthers_AcceptServesAPeerThatIsNotTrustedAsItIs(t *testing.T) {
	l, told := listen(t, Config{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Others: Accept})
	for _, first := range []string{headers[0].header, headers[4].header, "hello"} {
		mine := dial(t, l, first)
		c := accept(t, l)
		require.IsType(t, &net.TCPConn{}, c)
		require.Equal(t, mine.LocalAddr().String(), c.RemoteAddr().String())
		receive(t, c, first)
	}
	dial(t, l, "")
	accept(t, l) // without waiting for data
	require.Empty(t, told)
}

// named is an address of a type that is not in package net.
type named string

func (named) Network() string  { return "named" }
func (a named) String() string { return string(a) }

func TestTrusted_MatchesTheConfiguredPrefixesOnly(t *testing.T) {
	l := &Listener{config: Config{Trusted: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.1/30"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("fe80::/10"),
	}}}
	for a, want := range map[string]bool{
		"192.0.2.3:1": true, "192.0.2.4:1": false, "[::ffff:192.0.2.1]:1": true, "[::ffff:192.0.2.4]:1": false,
		"[2001:db8::1:2]:1": true, "[2001:db8:0:1::]:1": false, "[fe80::1%eth0]:1": true, "[::1]:1": false,
	} {
		require.Equal(t, want, l.trustsAddr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a))), a)
	}
	require.True(t, l.trustsAddr(named("[::ffff:192.0.2.1]:1")))
	require.False(t, l.trustsAddr(named("no-address")))
	require.False(t, l.trustsAddr(&net.UnixAddr{Name: "192.0.2.1", Net: "unix"}))
	require.False(t, l.trustsAddr((*net.TCPAddr)(nil)))
	require.False(t, l.trustsAddr(nil))
}

func TestTrusted_IsCopied(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	l, _ := listen(t, Config{Trusted: trusted})
	trusted[0] = netip.MustParsePrefix("192.0.2.1/32")
	dial(t, l, headers[0].header)
	require.Equal(t, headers[0].remote, accept(t, l).RemoteAddr().String())
}

func TestConfig_ErrorNamesTheInvalidFieldAndItsFix(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	for want, c := range map[string]Config{
		"Config.Trusted is empty":    {},
		"Config.Trusted[1] is":       {Trusted: []netip.Prefix{loopback[0], {}}},
		"Config.Trusted[0] is":       {Trusted: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104)}},
		"Config.Others is 2":         {Trusted: loopback, Others: 2},
		"Config.HeaderTimeout is -1": {Trusted: loopback, HeaderTimeout: -1},
		"Config.MaxWaiting is -1":    {Trusted: loopback, MaxWaiting: -1},
	} {
		_, err := New(inner, c)
		require.ErrorContains(t, err, want)
		require.Regexp(t, ": (use|name) ", err.Error())
	}
	c, err := net.Dial("tcp", inner.Addr().String())
	require.NoError(t, err)
	require.NoError(t, c.Close())
	accept(t, inner) // New left it to the caller
	require.NoError(t, inner.Close())
}

func TestMaxWaiting_ClosesTheOldestConnectionForANewOne(t *testing.T) {
	t.Parallel() // it waits for minWait
	l, told := listen(t, Config{HeaderTimeout: time.Hour, MaxWaiting: 2})
	first := dial(t, l, "PROXY ")
	second := dial(t, l, "")
	dial(t, l, headers[0].header)
	require.Equal(t, headers[0].remote, accept(t, l).RemoteAddr().String())
	err := next(t, told)
	require.ErrorIs(t, err, ErrTooManyWaiting)
	require.ErrorContains(t, err, first.LocalAddr().String())
	gone(t, first)
	send(t, second, headers[1].header)
	require.Equal(t, headers[1].remote, accept(t, l).RemoteAddr().String())
	require.Empty(t, told)
}

func TestMaxWaiting_LosesNoConnectionOfABurst(t *testing.T) {
	t.Parallel() // it waits for minWait
	l, told := listen(t, Config{MaxWaiting: 2})
	want := map[string]bool{}
	for i := range 20 { // the rest stays in the operating system's queue
		dial(t, l, fmt.Sprintf("PROXY TCP4 203.0.113.%d 198.51.100.2 7 443\r\n", i))
		want[fmt.Sprintf("203.0.113.%d:7", i)] = true
	}
	require.Eventually(t, func() bool { return len(l.waiting.slots) == 2 }, patience, time.Millisecond)
	time.Sleep(minWait + 100*time.Millisecond) // connections that wait for Accept are not closed for new ones
	require.Len(t, l.waiting.slots, 2)
	got := map[string]bool{}
	for range 20 {
		got[accept(t, l).RemoteAddr().String()] = true
	}
	require.Equal(t, want, got)
	require.Empty(t, told)
}

func TestClose_ClosesWaitingConnectionsWithoutReportingThem(t *testing.T) {
	for _, others := range []Others{Refuse, Accept} {
		l, told := listen(t, Config{HeaderTimeout: time.Hour, MaxWaiting: 4, Others: others})
		var mine []net.Conn
		for _, first := range []string{"", "PROXY", headers[0].header, headers[4].header, headers[0].header, ""} {
			mine = append(mine, dial(t, l, first))
		}
		require.Eventually(t, func() bool { return len(l.waiting.slots) == 4 }, patience, time.Millisecond)
		closed := make(chan error)
		for range 3 {
			go func() { closed <- l.Close() }()
		}
		for range 3 {
			require.NoError(t, next(t, closed))
		}
		for _, c := range mine {
			gone(t, c)
		}
		_, err := l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		for len(told) > 0 {
			require.ErrorIs(t, <-told, ErrTooManyWaiting) // before Close
		}
	}
}

func TestClose_ClosesAConnectionWithoutAHeaderThatAcceptHasNotReturned(t *testing.T) {
	l, _ := listen(t, Config{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Others: Accept})
	mine := dial(t, l, "hello")
	require.NoError(t, l.Close())
	gone(t, mine)
}

func TestClose_ClosesConnectionsThatArriveDuringIt(t *testing.T) {
	for range 20 {
		l, _ := listen(t, Config{HeaderTimeout: time.Hour})
		began := make(chan struct{})
		ended := make(chan []net.Conn)
		go func() {
			var mine []net.Conn
			for i := 0; ; i++ {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					break
				}
				mine = append(mine, c)
				_, _ = io.WriteString(c, strings.Repeat(headers[0].header, i%2))
				if i == 3 {
					close(began)
				}
			}
			ended <- mine
		}()
		next(t, began)
		require.NoError(t, l.Close())
		for _, c := range next(t, ended) {
			gone(t, c)
			require.NoError(t, c.Close())
		}
	}
}

func TestOnError_IsNotToldOfAHealthCheck(t *testing.T) {
	const probes = 20
	l, told := listen(t, Config{})
	for i := range probes {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		if i%2 == 0 {
			require.NoError(t, c.(*net.TCPConn).SetLinger(0)) // Close sends a reset
		}
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { return l.Probes() == probes }, patience, time.Millisecond)
	c := dial(t, l, "PROXY ")
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
	require.ErrorContains(t, next(t, told), "reset")
	require.EqualValues(t, probes, l.Probes())
	require.Empty(t, told)
}
