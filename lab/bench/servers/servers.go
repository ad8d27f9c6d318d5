// Package servers has one interface to many echo servers: this project's, and
// what one would write or choose in its place. They echo the frames of
// tcp.ScanFrames: a '$', the body's length as a big-endian uint16, a '#' and the
// body. They close idle connections if they have a way to. Each server has a
// file of its own. It is used as its documentation says, at the setting that
// suits the benchmarks best; Impl.How states that setting.
package servers

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"time"
)

const (
	// idleTimeout is the idle timeout of each server that has one. No benchmark
	// waits for it.
	idleTimeout = 5 * time.Minute

	// header is the length of a frame's header: '$', two bytes of length, '#'.
	header = 4

	// maxFrame is the largest frame on the wire.
	maxFrame = header + 1<<16 - 1
)

// Impl describes one server.
type Impl struct {
	Name    string
	Module  string // with its version; "" for the standard library
	How     string // how it is used, and at which setting
	Timeout string // what closes idle connections; "none" and the reason if nothing does

	// Start serves on a free port of the loopback interface until stop is called.
	Start func() (addr string, stop func(), err error)

	// StartTLS is Start for connections over TLS. If it is nil, NoTLS says why.
	StartTLS func() (addr string, stop func(), err error)
	NoTLS    string
}

// All lists the servers, this project first.
func All() []Impl {
	return []Impl{
		sessionwheelImpl(), deadlineImpl(), scannerImpl(), zinxImpl(), gettyImpl(), gnetImpl(), nbioImpl(), netpollImpl(),
	}
}

// ByName returns the server with the given name.
func ByName(name string) (Impl, error) {
	all := All()
	i := slices.IndexFunc(all, func(m Impl) bool { return m.Name == name })
	if i < 0 {
		return Impl{}, fmt.Errorf("servers: unknown server %q", name)
	}
	return all[i], nil
}

// frameLen returns the length of the frame that head begins, header included.
// It reports false for a wrong marker.
func frameLen(head []byte) (int, bool) {
	return header + int(binary.BigEndian.Uint16(head[1:3])), head[0] == '$' && head[3] == '#'
}

// wholeFrames returns the length of the complete frames at the beginning of
// data. It reports false for a wrong marker. The event loops use it to echo all
// that they have received in one write.
func wholeFrames(data []byte) (n int, ok bool) {
	for len(data)-n >= header {
		f, ok := frameLen(data[n:])
		if !ok {
			return n, false
		}
		if len(data)-n < f {
			break
		}
		n += f
	}
	return n, true
}

// listen listens on a free port of the loopback interface.
func listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("servers: %w", err)
	}
	return l, nil
}

// freePort returns a free port, for servers that listen themselves.
func freePort() (int, error) {
	l, err := listen()
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// waitForServer waits until a server accepts connections on the port, for two
// seconds at most.
func waitForServer(port int) (addr string, err error) {
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	for range 200 {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", addr, time.Second); err == nil {
			return addr, c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", fmt.Errorf("servers: no server on port %d: %w", port, err)
}
