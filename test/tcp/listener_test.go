package tcp_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// erring is a listener whose Accept returns an error of the system before each
// connection.
type erring struct {
	*pipes.Listener
	errs []syscall.Errno
}

func (l *erring) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	return l.Listener.Accept()
}

func TestServe_GoesOnAfterErrorsOfTheNetworkAndTheMemory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("package syscall does not have its error numbers")
	}
	errs := []syscall.Errno{
		syscall.ENOBUFS, syscall.ENOMEM, syscall.EPROTO, syscall.EPERM, syscall.ENETDOWN,
		syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ECONNABORTED, syscall.EMFILE,
	}
	synctest.Test(t, func(t *testing.T) {
		var log harness.LogBuffer
		srv := &tcp.Server{OnMessage: harness.EchoLine, Logger: harness.Logger(&log, slog.LevelWarn)}
		e := watch(srv)
		l := &erring{Listener: pipes.New(), errs: errs}
		harness.ServeTCP(t, srv, l)
		mine, theirs := net.Pipe()
		l.Conns <- theirs
		harness.Write(t, mine, "hi\n")
		harness.Read(t, mine, "hi\n")
		require.NoError(t, mine.Close())
		for _, want := range errs {
			require.ErrorIs(t, harness.Next(t, e.errors), want)
		}
		require.EqualValues(t, len(errs), srv.Traffic().AcceptErrors)
		require.Contains(t, log.String(), "accept4")
	})
}

func TestGoexit_InOnErrorOfTheListenerDoesNotEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log harness.LogBuffer
		srv := &tcp.Server{
			OnMessage: harness.EchoLine, Logger: harness.Logger(&log, slog.LevelError),
			OnError: func(*tcp.Session, error) { runtime.Goexit() },
		}
		l := &erring{Listener: pipes.New(), errs: []syscall.Errno{syscall.EMFILE}}
		harness.ServeTCP(t, srv, l)
		mine, theirs := net.Pipe()
		l.Conns <- theirs
		harness.Write(t, mine, "hi\n")
		harness.Read(t, mine, "hi\n")
		require.NoError(t, mine.Close())
		require.Contains(t, log.String(), "Goexit")
	})
}

// moving is a connection whose peer's address changes.
type moving struct {
	net.Conn
	asked *atomic.Int32
}

func (c moving) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(c.asked.Add(1))), Port: 1}
}

func TestMaxSessionsPerIP_AsksForTheAddressOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{MaxSessionsPerIP: 1}
		e := watch(srv)
		l := pipes.New()
		harness.ServeTCP(t, srv, l)
		for range 3 {
			mine, theirs := net.Pipe()
			l.Conns <- moving{theirs, new(atomic.Int32)}
			harness.Next(t, e.opened)
			require.NoError(t, mine.Close())
			require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
		}
		require.Zero(t, srv.Traffic().RefusedPerIP)
		require.Empty(t, e.errors)
	})
}

// named is a directory that gives an ID to whoever asks.
type named struct{ ids chan string }

func (d named) Claim(_ context.Context, id string, _ []byte, activate func(uint64)) error {
	d.ids <- id
	activate(1)
	return nil
}

func (named) Release(string, uint64) {}

func TestBind_WithoutANameIsAnErrorUnlessADirectoryKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &tcp.Server{}
		e := watch(srv)
		dial := harness.ListenPipes(t, srv)
		dial()
		first := harness.Next(t, e.opened)
		require.ErrorIs(t, first.Bind(t.Context(), "", nil), tcp.ErrEmptyID)
		require.NoError(t, first.Bind(t.Context(), "alice", nil), "it may be bound after that")
	})
	synctest.Test(t, func(t *testing.T) {
		d := named{make(chan string, 1)}
		srv := &tcp.Server{Directory: d}
		e := watch(srv)
		harness.ListenPipes(t, srv)()
		require.NoError(t, harness.Next(t, e.opened).Bind(t.Context(), "", nil))
		require.Empty(t, <-d.ids)
	})
}
