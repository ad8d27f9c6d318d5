package tcp_test

import (
	"net"
	"testing"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// serverEvents receives what a server's callbacks are called with.
type serverEvents struct {
	opened   chan *tcp.Session
	messages chan string
	errors   chan error
	closed   chan pool.Reason
}

// watch sends the events of srv to channels, except for callbacks that srv has
// already.
func watch(srv *tcp.Server) serverEvents {
	e := serverEvents{make(chan *tcp.Session, 1000), make(chan string, 1000), make(chan error, 1000), make(chan pool.Reason, 1000)}
	if srv.OnNewSessionRegister == nil {
		srv.OnNewSessionRegister = func(s *tcp.Session) { e.opened <- s }
	}
	if srv.OnMessage == nil {
		srv.OnMessage = func(_ *tcp.Session, p []byte) { e.messages <- string(p) }
	}
	if srv.OnError == nil {
		srv.OnError = func(_ *tcp.Session, err error) { e.errors <- err }
	}
	if srv.OnSessionClosed == nil {
		srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) { e.closed <- r }
	}
	return e
}

// overBoth runs f over sockets, which the server reads without net.Conn's Read,
// and over connections of a type that it does not know.
func overBoth(t *testing.T, f func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn)) {
	t.Run("socket", func(t *testing.T) { f(t, harness.ListenTCP) })
	t.Run("pipe", func(t *testing.T) { f(t, harness.ListenMemory) })
}
