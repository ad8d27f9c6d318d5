package main

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// local returns a client of a server without a network, for use with fake time.
func local(t *testing.T) (do func(args ...string) []byte, sv *server) {
	sv, err := newServer(0)
	require.NoError(t, err)
	t.Cleanup(sv.Wheel.Close)
	c := &client{server: sv}
	return func(args ...string) []byte { return c.execute(args) }, sv
}

func TestExpiry_FollowsTheLastCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		do, sv := local(t)
		do("SET", "k", "v", "EX", "10")
		time.Sleep(9 * time.Second)
		require.Equal(t, integer(1), do("TTL", "k"))
		require.Equal(t, integer(1), do("EXPIRE", "k", "100"))
		time.Sleep(99 * time.Second)
		require.Equal(t, integer(1), do("INCR", "n"))
		require.Equal(t, bulk("v"), do("GET", "k"))
		time.Sleep(time.Second + 20*time.Millisecond)
		require.Equal(t, integer(1), do("DBSIZE"), "it was removed although no command used it")
		require.Equal(t, null, do("GET", "k"))
		require.Zero(t, sv.Wheel.Len())

		do("SET", "k", "v", "PX", "1500")
		do("EXPIRE", "k", "1")
		time.Sleep(time.Second)
		require.Equal(t, array([]string{"n"}), do("KEYS", "*"))
		require.Equal(t, null, do("GET", "k"), "to the moment, though a timer may be a tick late")
		require.Equal(t, integer(-2), do("TTL", "k"))
	})
}

func TestExpiry_NeedsATimerOnlyWhilePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		do, sv := local(t)
		for name, last := range map[string][]string{
			"DEL":      {"DEL", "k"},
			"SET":      {"SET", "k", "w"},
			"EXPIRE":   {"EXPIRE", "k", "-1"},
			"FLUSHALL": {"FLUSHALL"},
		} {
			do("SET", "k", "v", "EX", "10")
			require.Equal(t, 1, sv.Wheel.Len())
			do(last...)
			require.Zero(t, sv.Wheel.Len(), name)
		}
		do("SET", "k", "v")
		do("EXPIRE", "k", "-1")
		require.Equal(t, integer(0), do("DBSIZE"))
		do("SET", "k", "1", "EX", "10")
		do("INCR", "k")
		do("INCR", "n")
		require.Equal(t, 1, sv.Wheel.Len())
		do("DEL", "k")
		do("SET", "k", "new")
		time.Sleep(time.Hour)
		require.Equal(t, bulk("new"), do("GET", "k"), "an old timer takes no new entry")
	})
}

// If a timer fires just before a command takes the lock, Fire finds an entry that must
// stay.
func TestExpiry_LateTimerRemovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		do, sv := local(t)
		do("SET", "k", "v", "EX", "10")
		old := sv.entries["k"]
		do("EXPIRE", "k", "20")
		old.Fire()
		require.Equal(t, bulk("v"), do("GET", "k"))
		do("DEL", "k")
		do("SET", "k", "new", "EX", "5")
		time.Sleep(4 * time.Second)
		old.Fire()
		require.Equal(t, bulk("new"), do("GET", "k"))
	})
}

func TestErrorReply_IsOneLine(t *testing.T) {
	require.EqualValues(t, "-ERR a  b\r\n", failure("ERR %s", "a\r\nb"))
}

func TestIdleClient_TakesLittleMemory(t *testing.T) {
	sv, err := newServer(0)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- sv.Serve(l) }() // ends with Shutdown
	t.Cleanup(func() {
		require.NoError(t, sv.Shutdown(context.Background()))
		require.ErrorIs(t, <-served, tcp.ErrServerClosed)
		sv.Wheel.Close()
	})
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // the second one frees what sync.Pools hold
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const clients = 20
	echo := bulks("ECHO", strings.Repeat("v", maxBulk))
	for range clients {
		c := dial(t, l.Addr().String())
		c.send(echo)
		c.want(strings.TrimPrefix(echo, "*2\r\n$4\r\nECHO\r\n"))
	}
	require.Eventually(t, func() bool { return heap()-before < clients/2*maxBulk }, patience, 10*time.Millisecond)
	runtime.KeepAlive(sv)
}
