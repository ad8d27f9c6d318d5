// Package servers holds the echo servers that the benchmarks put side by side:
// this project's and what one would otherwise write or pick. Each echoes the
// frames of tcp.ScanFrames, a '$', the body's length as a big-endian uint16, a
// '#' and the body, and closes idle connections where it has a way to. Each
// lies in a file of its own and is used as its documentation says, at the
// setting that serves it best here; How says which.
package servers

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"time"
)

const (
	// idleTimeout is what each server that has one is given. No benchmark waits
	// for it.
	idleTimeout = 5 * time.Minute

	// header is the '$', two bytes of length and the '#'.
	header = 4

	// maxFrame is the largest frame on the wire.
	maxFrame = header + 1<<16 - 1
)

// Impl describes one server.
type Impl struct {
	Name    string
	Module  string // with its version; "" for the standard library
	How     string // how it is used, and at which setting
	Timeout string // what closes idle connections; "none" and why if nothing does

	// Start serves on a free port of the loopback until stop is called.
	Start func() (addr string, stop func(), err error)
}

// All lists the servers, this project first.
func All() []Impl {
	return []Impl{
		tcpImpl(), deadlineImpl(), scannerImpl(), zinxImpl(), gettyImpl(), gnetImpl(), nbioImpl(), netpollImpl(),
	}
}

// ByName finds a server.
func ByName(name string) (Impl, error) {
	all := All()
	i := slices.IndexFunc(all, func(m Impl) bool { return m.Name == name })
	if i < 0 {
		return Impl{}, fmt.Errorf("servers: there is no server called %q", name)
	}
	return all[i], nil
}

// frameLen is the length on the wire of the frame that head begins. It reports
// false for a wrong marker.
func frameLen(head []byte) (int, bool) {
	return header + int(binary.BigEndian.Uint16(head[1:3])), head[0] == '$' && head[3] == '#'
}

// whole cuts whole frames off data and returns how many bytes they have. It
// reports false for a wrong marker. Where an event loop hands over what has
// come, all of it is echoed in one write.
func whole(data []byte) (n int, ok bool) {
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

// listen listens on a free port of the loopback.
func listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("servers: %w", err)
	}
	return l, nil
}

// freePort finds a port for servers that listen on their own.
func freePort() (int, error) {
	l, err := listen()
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// untilServes waits until something accepts connections on the port.
func untilServes(port int) (addr string, err error) {
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	for range 200 {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", addr, time.Second); err == nil {
			return addr, c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", fmt.Errorf("servers: nothing serves: %w", err)
}
