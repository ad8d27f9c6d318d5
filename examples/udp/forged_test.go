package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/udp"
)

// network carries datagrams between servers in memory, and forged ones to them.
type network struct {
	mu    sync.Mutex
	hosts map[netip.AddrPort]*host

	sent      atomic.Int64 // by the servers
	delivered atomic.Int64 // of those; beyond maxDelivered all are lost, so that no exchange is endless
}

const maxDelivered = 10_000

// host is a server's socket. It has the methods of *net.UDPConn that do not allocate.
type host struct {
	net.PacketConn // nil: the server calls no other method
	net            *network
	addr           netip.AddrPort
	in             chan datagram
	interrupted    chan struct{}
	interrupt      func()
}

type datagram struct {
	from netip.AddrPort
	data string
}

func (n *network) listen(addr string) *host {
	h := &host{net: n, addr: netip.MustParseAddrPort(addr), in: make(chan datagram, 1000), interrupted: make(chan struct{})}
	h.interrupt = sync.OnceFunc(func() { close(h.interrupted) })
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts = make(map[netip.AddrPort]*host)
	}
	n.hosts[h.addr] = h
	return h
}

func (n *network) host(addr netip.AddrPort) *host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[addr]
}

func (h *host) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-h.in:
		return copy(p, d.data), d.from, nil
	case <-h.interrupted:
		return 0, netip.AddrPort{}, os.ErrDeadlineExceeded
	}
}

func (h *host) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	h.net.sent.Add(1)
	if other := h.net.host(to); other != nil && h.net.delivered.Add(1) <= maxDelivered {
		select {
		case other.in <- datagram{h.addr, string(p)}:
		default: // lost
		}
	}
	return len(p), nil
}

func (h *host) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(h.addr) }

func (h *host) SetReadDeadline(time.Time) error { h.interrupt(); return nil }

func (h *host) Close() error { h.interrupt(); return nil }

// serveOn serves the protocol on a socket until the test ends.
func serveOn(t *testing.T, h *host) *devices {
	t.Helper()
	d := newDevices(config{idle: time.Minute, maxSessions: 1000}, slog.New(slog.DiscardHandler))
	srv := d.srv
	served := make(chan error, 1)
	go func() { served <- srv.Serve(h) }() // ends with Shutdown
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		require.ErrorIs(t, <-served, udp.ErrServerClosed)
	})
	return d
}

func TestForged_DatagramsDoNotSetTwoServersAgainstEachOther(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprint("known to each other=", known), func(t *testing.T) {
			var n network
			a, b := n.listen("192.0.2.1:9000"), n.listen("192.0.2.2:9000")
			servers := map[*host]*devices{a: serveOn(t, a), b: serveOn(t, b)}
			forge := func(from, to *host, data string) { to.in <- datagram{from.addr, data} }
			wait := func(received uint64) { // for all of it; what that causes is judged at the end
				t.Helper()
				require.Eventually(t, func() bool {
					return servers[a].srv.Stats().Received+servers[b].srv.Stats().Received >= received
				}, patience, time.Millisecond)
			}
			sent := uint64(0)
			if known { // as if each had brought the other's cookie
				for to, from := range map[*host]*host{a: b, b: a} {
					forge(from, to, "+")
					sent++
				}
				wait(sent)
				for to, from := range map[*host]*host{a: b, b: a} {
					cookie := strings.TrimPrefix(string(servers[to].cookies.challenge(nil, from.addr)), "> cookie ")
					forge(from, to, "+"+cookie)
					sent++
				}
				require.Eventually(t, func() bool {
					return servers[a].srv.Stats().Sessions == 1 && servers[b].srv.Stats().Sessions == 1
				}, patience, time.Millisecond)
			}
			for _, data := range []string{"=", "", "+", "?", "!", ">", "> ! what", "> cookie 0123456789abcdef", "temp=1", "a?", "a", "+x y"} {
				forge(a, b, data)
				forge(b, a, data)
				forge(a, a, data)
				sent += 3
			}
			wait(sent)
			require.Positive(t, servers[a].srv.Stats().OwnAddress)
			time.Sleep(50 * time.Millisecond) // in which an endless exchange goes on thousands of times
			require.LessOrEqual(t, servers[a].srv.Stats().Received+servers[b].srv.Stats().Received, 2*sent, "replies are answered")
		})
	}
}

func TestFlood_FromForgedAddressesTakesNoPlaceAndNoMemory(t *testing.T) {
	const addresses = 100_000
	var n network
	h := n.listen("192.0.2.1:9000")
	srv := serveOn(t, h).srv
	flood := func(count int) {
		for i := range count {
			from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			h.in <- datagram{netip.AddrPortFrom(from, 5000), "+0123456789abcdef"}
		}
	}
	received := func(count uint64) {
		t.Helper()
		require.Eventually(t, func() bool { return srv.Stats().NotAdmitted == count }, patience, time.Millisecond)
	}
	flood(100)
	received(100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	flood(addresses)
	received(100 + addresses)
	runtime.ReadMemStats(&after)
	st := srv.Stats()
	require.Zero(t, st.Registered)
	require.Zero(t, st.RefusedFull)
	require.EqualValues(t, 100+addresses, n.sent.Load())
	require.Less(t, after.Mallocs-before.Mallocs, uint64(addresses/10))
}

func TestReplies_ToAnAddressThatIsNotProvedAreShort(t *testing.T) {
	const headers = 28 // of IP and UDP
	p := start(t)
	c := p.dial(t)
	require.Less(t, headers+len(ask(t, c, "")), 2*headers)
}

func TestCookie_IsOfOneAddressAndForALimitedTime(t *testing.T) {
	var c cookies
	addr := netip.MustParseAddrPort("192.0.2.1:1")
	cookie := []byte(strings.TrimPrefix(string(c.challenge(nil, addr)), "> cookie "))
	require.True(t, c.valid(addr, cookie))
	require.False(t, c.valid(netip.MustParseAddrPort("192.0.2.1:2"), cookie))
	require.False(t, c.valid(netip.MustParseAddrPort("192.0.2.2:1"), cookie))
	require.False(t, c.valid(addr, nil))
	require.False(t, c.valid(addr, cookie[:8]))
	c.since = c.since.Add(-keyLife)
	require.True(t, c.valid(addr, cookie), "the key has changed once")
	c.since = c.since.Add(-keyLife)
	require.False(t, c.valid(addr, cookie), "and again")
	cookie = []byte(strings.TrimPrefix(string(c.challenge(nil, addr)), "> cookie "))
	c.since = c.since.Add(-10 * keyLife)
	require.False(t, c.valid(addr, cookie), "nothing was asked for a long time")
}

func TestDevice_KeepsItsReportsWhenItsAddressChanges(t *testing.T) {
	p := start(t)
	c := p.dial(t)
	name := nameOf(t, c, "")
	require.Equal(t, name, nameOf(t, c, ""), "if the reply was lost")
	require.Equal(t, "> ok", ask(t, c, "temp=21.5"))

	moved := p.dial(t)
	require.Contains(t, ask(t, moved, "+"+strings.Repeat("0", 16)+" "+name), "> cookie ", "the address is not proved")
	require.Equal(t, name, nameOf(t, moved, name))
	require.Equal(t, "> temp=21.5", ask(t, moved, "temp?"))
	require.Contains(t, ask(t, c, "temp?"), "> cookie ", "the old address is free")

	// The new address may have a device already, which then ends.
	other := p.dial(t)
	require.NotEqual(t, name, nameOf(t, other, ""))
	require.Equal(t, "> 2", ask(t, other, "?"))
	require.Equal(t, name, nameOf(t, other, name))
	require.Equal(t, "> temp=21.5", ask(t, other, "temp?"))
	require.Equal(t, "> 1", ask(t, other, "?"))
	p.terminate(t)
}
