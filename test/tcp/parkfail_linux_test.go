package tcp_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// A process that is out of descriptors has none for the poller. Its sessions keep their
// goroutines, and are parked when there are descriptors again.
func TestPark_WithoutADescriptorForThePollerSessionsGoOn(t *testing.T) {
	t.Parallel() // it waits for a process
	if os.Getenv(harness.HelperEnv) == "" {
		out, err := harness.Helper(t, "server").CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	srv := &tcp.Server{OnMessage: harness.EchoLine, OnNewSessionRegister: func(*tcp.Session) {
		assert.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: limit.Max}))
	}}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	const told = "tcp: idle sessions keep a goroutine each: epoll_create1"
	for err := error(nil); err == nil || !strings.Contains(err.Error(), told); { // beside those of Accept
		err = harness.Next(t, e.errors)
		require.ErrorIs(t, err, syscall.EMFILE)
	}
	harness.Write(t, c, "x\n")
	harness.Read(t, c, "x\n")
	require.Zero(t, srv.Stats().Parked)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	harness.Write(t, c, "x\n")
	harness.Read(t, c, "x\n")
	awaitParked(t, srv, 1)
	for len(e.errors) > 0 {
		require.NotContains(t, (<-e.errors).Error(), told, "again")
	}
	require.Empty(t, e.closed)
}

// fileConn is a connection that names a file as its socket, which epoll refuses.
type fileConn struct {
	net.Conn
	file *os.File
}

func (c fileConn) SyscallConn() (syscall.RawConn, error) { return c.file.SyscallConn() }

type fileConns struct {
	net.Listener
	file *os.File
}

func (l fileConns) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return fileConn{c, l.file}, nil
}

func TestPark_WhatThePollerRefusesGoesOn(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	defer file.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	e := watch(srv)
	harness.ServeTCP(t, srv, fileConns{l, file})
	c := connect(t, l.Addr())
	require.ErrorIs(t, harness.Next(t, e.errors), syscall.EPERM)
	for range 3 {
		harness.Write(t, c, "x\n")
		harness.Read(t, c, "x\n")
	}
	require.Zero(t, srv.Stats().Parked)
	require.Empty(t, e.closed)
}

const (
	parkedPeers = 10
	parkedIdle  = 10 * time.Second        // the IdleTimeout
	parkedPause = 1500 * time.Millisecond // between two messages of a peer
)

// TestPark_AFreezeIsForgiven stops a server whose sessions are parked for nearly its idle
// timeout. Its peers go on sending meanwhile.
func TestPark_AFreezeIsForgiven(t *testing.T) {
	t.Parallel() // it waits for a process that is stopped
	if os.Getenv(harness.HelperEnv) != "" {
		serveInProcess(t, &tcp.Server{IdleTimeout: parkedIdle, OnMessage: harness.EchoLine},
			func(l net.Listener) net.Listener { return l })
		return
	}
	p := startServerProcess(t)
	conns := make([]net.Conn, parkedPeers)
	for i := range conns {
		conns[i] = p.dial()
	}
	send := func() {
		for _, c := range conns {
			harness.Write(t, c, "x\n")
		}
	}
	send()
	time.Sleep(parkedPause)
	p.signal(syscall.SIGSTOP)
	send()
	time.Sleep(parkedPause)
	send()
	time.Sleep(parkedIdle - parkedPause) // longer than the idle timeout in all
	p.signal(syscall.SIGCONT)
	for _, c := range conns {
		harness.Read(t, c, "x\nx\nx\n")
		harness.Write(t, c, "x\n")
		harness.Read(t, c, "x\n")
	}
	p.end(pool.Timeout)
}
