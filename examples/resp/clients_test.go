package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestClientKill_ClosesTheRightClient(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		byID, byAddr, stays := dial(t, addr), dial(t, addr), dial(t, addr)
		killer := dial(t, addr) // redis-cli would be a client for a moment after it ends
		require.Equal(t, "+PONG", byAddr.ask("PING"))
		require.Equal(t, "+PONG", stays.ask("PING"))
		id := strings.TrimPrefix(byID.ask("CLIENT ID"), ":")
		require.Equal(t, ":1", killer.ask("CLIENT KILL ID "+id))
		require.Empty(t, byID.closed())
		require.Equal(t, ":0", killer.ask("CLIENT KILL ID "+id))
		require.Equal(t, "+OK", killer.ask("CLIENT KILL "+byAddr.LocalAddr().String()))
		require.Empty(t, byAddr.closed())
		require.Equal(t, "+PONG", stays.ask("PING"))
		require.Equal(t, ":1", killer.ask("CLIENT KILL TYPE normal"), "but not itself")
		require.Empty(t, stays.closed())
	})
}

func TestConfigSet_TimeoutAppliesToExistingClients(t *testing.T) {
	t.Parallel() // it waits for a timeout
	both(t, func(t *testing.T, addr string) {
		silent, busy := dial(t, addr), dial(t, addr)
		start := time.Now()
		require.Equal(t, "+PONG", silent.ask("PING"))
		require.Equal(t, "+OK", busy.ask("CONFIG SET timeout 10"))
		gone := make(chan string, 1)
		go func() { gone <- silent.closed() }() // ends when the server closes the connection
		for open := true; open; {
			select {
			case rest := <-gone:
				require.Empty(t, rest)
				open = false
			case <-time.After(100 * time.Millisecond):
				require.Equal(t, "+PONG", busy.ask("PING"))
			}
		}
		require.Greater(t, time.Since(start), 9*time.Second)
		late := dial(t, addr)
		require.Equal(t, "+OK", late.ask("CONFIG SET timeout 1"))
		require.Empty(t, late.closed(), "one that came later has the new timeout")
	})
}

func TestConfigSet_TimeoutZeroClosesNoClient(t *testing.T) {
	t.Parallel() // it waits for longer than a timeout
	both(t, func(t *testing.T, addr string) {
		c, watch := dial(t, addr), dial(t, addr)
		require.Equal(t, "+OK", c.ask("CONFIG SET timeout 10"))
		require.Equal(t, "+OK", c.ask("CONFIG SET timeout 0"))
		time.Sleep(14 * time.Second)
		require.Equal(t, "+PONG", c.ask("PING"))
		require.Equal(t, "+PONG", watch.ask("PING"))
	})
}

func TestExpiry_RemovesAKeyWithoutAnyCommand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		c := dial(t, addr)
		for i := range 50 {
			require.Equal(t, "+OK", c.ask(fmt.Sprintf("SET key:%d 1 PX %d", i, 100+i)))
		}
		require.Eventually(t, func() bool { return c.ask("DBSIZE") == ":0" }, patience, 10*time.Millisecond)
	})
}

// go-redis begins a connection with HELLO 3, CLIENT SETINFO and more.
func TestGoRedis_WorksWithBoth(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for _, protocol := range []int{2, 3} {
			rdb := redis.NewClient(&redis.Options{
				Addr: addr, Protocol: protocol, ClientName: "tester",
				DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
			})
			require.NoError(t, rdb.FlushAll(ctx).Err())
			require.Equal(t, "PONG", rdb.Ping(ctx).Val())
			require.ErrorIs(t, rdb.Get(ctx, "none").Err(), redis.Nil)
			require.NoError(t, rdb.Set(ctx, "k", "v", time.Minute).Err())
			require.NoError(t, rdb.Set(ctx, "ms", "v", 90*time.Second+time.Millisecond).Err())
			require.Equal(t, "v", rdb.Get(ctx, "k").Val())
			require.InDelta(t, time.Minute, rdb.TTL(ctx, "k").Val(), float64(30*time.Second))
			require.True(t, rdb.Expire(ctx, "k", time.Hour).Val())
			set, err := rdb.SetNX(ctx, "k", "w", 0).Result()
			require.NoError(t, err)
			require.False(t, set)
			require.EqualValues(t, 2, rdb.Exists(ctx, "k", "ms", "none").Val())
			require.ElementsMatch(t, []string{"k", "ms"}, rdb.Keys(ctx, "*").Val())
			require.EqualValues(t, 2, rdb.DBSize(ctx).Val())
			require.Equal(t, "tester", rdb.ClientGetName(ctx).Val())
			require.Contains(t, rdb.ClientList(ctx).Val(), "name=tester")
			require.Equal(t, map[string]string{"timeout": "0"}, rdb.ConfigGet(ctx, "timeout").Val())
			require.ErrorContains(t, rdb.Do(ctx, "NOPE", "x").Err(), "ERR unknown command 'NOPE', with args beginning with: 'x'")

			var incrs []*redis.IntCmd
			_, err = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				for range 1000 {
					incrs = append(incrs, p.Incr(ctx, "n"))
				}
				return nil
			})
			require.NoError(t, err)
			for i, n := range incrs {
				require.EqualValues(t, i+1, n.Val())
			}
			require.EqualValues(t, 3, rdb.Del(ctx, "k", "ms", "n").Val())
			require.NoError(t, rdb.Close())
		}
	})
}
