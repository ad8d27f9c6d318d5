package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// local is a client of a server without a network, on fake time.
func local(t *testing.T) (do func(args ...string) any, sv *server) {
	sv, err := newServer(0)
	require.NoError(t, err)
	t.Cleanup(sv.Wheel.Close)
	c := &client{server: sv}
	return func(args ...string) any {
		defer c.forget()
		for _, arg := range args {
			c.args = append(c.args, []byte(arg))
		}
		reply := c.execute()
		if e, found := reply.(*entry); found {
			return e.value
		}
		return reply
	}, sv
}

func TestAKeyLivesAsLongAsTheLastCommandSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		do, sv := local(t)
		do("SET", "k", "v", "EX", "10")
		time.Sleep(9 * time.Second)
		require.Equal(t, int64(1), do("TTL", "k"))
		require.Equal(t, int64(1), do("EXPIRE", "k", "100"))
		time.Sleep(99 * time.Second)
		require.Equal(t, int64(1), do("INCR", "n"))
		require.Equal(t, "v", do("GET", "k"))
		time.Sleep(time.Second + 20*time.Millisecond)
		require.Equal(t, int64(1), do("DBSIZE"), "it has left though nobody asked for it")
		require.Nil(t, do("GET", "k"))
		require.Zero(t, sv.Wheel.Len())

		do("SET", "k", "v", "PX", "1500")
		do("EXPIRE", "k", "1")
		time.Sleep(time.Second)
		require.Equal(t, []any{"n"}, do("KEYS", "*"))
		require.Nil(t, do("GET", "k"), "to the moment, though a timer may be a tick late")
		require.Equal(t, int64(-2), do("TTL", "k"))
	})
}

func TestAKeyThatLeavesOrStaysForGoodHasNoTimer(t *testing.T) {
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
		do("SET", "k", "v", "EX", "10")
		do("SET", "k", "w", "KEEPTTL")
		do("INCR", "n")
		require.Equal(t, 1, sv.Wheel.Len())
		do("DEL", "k")
		do("SET", "k", "new")
		time.Sleep(time.Hour)
		require.Equal(t, "new", do("GET", "k"), "an old timer takes no new entry")
	})
}

// A timer that was decided on just before the lock was taken finds an entry that
// is not to go.
func TestATimerThatCameTooLateTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		do, sv := local(t)
		do("SET", "k", "v", "EX", "10")
		old := sv.keys.entries["k"]
		do("EXPIRE", "k", "20")
		old.Fire()
		require.Equal(t, "v", do("GET", "k"))
		do("DEL", "k")
		do("SET", "k", "new", "EX", "5")
		time.Sleep(4 * time.Second)
		old.Fire()
		require.Equal(t, "new", do("GET", "k"))
	})
}

func TestAnErrorStaysInItsLine(t *testing.T) {
	c := &client{}
	c.reply(failure("ERR a\r\nb"))
	require.Equal(t, "-ERR a  b\r\n", string(c.out))
}

func TestAClientThatWaitsKeepsLittle(t *testing.T) {
	c := &client{args: make([][]byte, 100), out: make([]byte, 1<<20)}
	c.forget()
	require.Zero(t, cap(c.args)+cap(c.out))
	c.args = append(c.args, []byte("x"))
	held := c.args
	c.forget()
	require.Nil(t, held[0], "the buffer that it was part of may go")
}
