package sessionwheel_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

func TestAnErrorOfAPoolsConfigNamesTheField(t *testing.T) {
	for field, c := range map[string]poolConfig{
		"Config.MaxLifetime": {MaxLifetime: -1},
		"Config.MaxSessions": {MaxSessions: -1},
		"Config.OnDuplicate": {OnDuplicate: pool.Replace + 1},
	} {
		p, err := pool.New(c)
		require.ErrorContains(t, err, "pool: "+field)
		require.Nil(t, p)
	}
}

func TestASessionIsFoundUnderItsID(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{})
		conn := new(poolConn)
		s, err := p.Register(7, conn)
		require.NoError(t, err)
		require.Equal(t, 7, s.ID())
		require.Same(t, conn, s.Conn())
		got, ok := p.Get(7)
		require.True(t, ok)
		require.Same(t, s, got)
		_, ok = p.Get(8)
		require.False(t, ok)
		require.True(t, p.CloseSession(7, "Kicked"))
		_, ok = p.Get(7)
		require.False(t, ok)
	})
}

func TestCloseSessionReportsWhetherItClosedOne(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{})
		require.False(t, p.CloseSession(1, "Kicked"))
		s := poolRegister(t, p, 1)
		require.True(t, p.CloseSession(1, "Kicked"))
		require.Equal(t, pool.Reason("Kicked"), s.Reason())
		require.False(t, p.CloseSession(1, "Again"))
		require.Equal(t, map[pool.Reason]uint64{"Kicked": 1}, p.Stats().ByReason)
	})
}

type (
	poolFuncConn  func()
	poolValueConn struct{}
)

func (f poolFuncConn) Close() error { f(); return nil }
func (poolValueConn) Close() error  { return nil }

// poolRegisterAs registers conn in a pool of its type.
func poolRegisterAs[C io.Closer](t *testing.T, conn C) error {
	t.Helper()
	p, err := pool.New(pool.Config[string, C]{})
	require.NoError(t, err)
	_, err = p.Register("a", conn)
	require.NoError(t, p.Shutdown(context.Background()))
	return err
}

func TestANilConnectionIsRefused(t *testing.T) {
	var tcp *net.TCPConn
	require.ErrorIs(t, poolRegisterAs[*net.TCPConn](t, nil), pool.ErrNilConn)
	require.ErrorIs(t, poolRegisterAs[net.Conn](t, nil), pool.ErrNilConn)
	require.ErrorIs(t, poolRegisterAs[net.Conn](t, tcp), pool.ErrNilConn)
	require.ErrorIs(t, poolRegisterAs[io.Closer](t, poolFuncConn(nil)), pool.ErrNilConn)
	require.ErrorIs(t, poolRegisterAs[poolFuncConn](t, nil), pool.ErrNilConn)
	require.NoError(t, poolRegisterAs(t, poolFuncConn(func() {})))
	require.NoError(t, poolRegisterAs(t, poolValueConn{}))
	require.NoError(t, poolRegisterAs[io.Closer](t, poolValueConn{}))
}

func TestAFullPoolHasRoomForTheOneThatReplaces(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{MaxSessions: 2, OnDuplicate: pool.Replace})
		poolRegister(t, p, 1)
		second := poolRegister(t, p, 2)
		third := poolRegister(t, p, 2)
		require.Equal(t, pool.Replaced, second.Reason())
		_, err := p.Register(3, new(poolConn))
		require.ErrorIs(t, err, pool.ErrFull)
		require.Equal(t, 2, p.Len())
		synctest.Wait()
		require.Equal(t, 2, p.Len())
		require.True(t, third.Close("Bye"))
		poolRegister(t, p, 3)
		require.Equal(t, 2, p.Len())
	})
}

func TestAllGoesOverTheSessionsOnce(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{})
		want := make(map[int]*poolSession)
		for id := range 1000 {
			want[id] = poolRegister(t, p, id)
		}
		got := make(map[int]*poolSession)
		for id, s := range p.All() {
			require.Nil(t, got[id])
			got[id] = s
		}
		require.Equal(t, want, got)

		// What is closed and registered meanwhile may be seen or not; the rest is.
		seen, born := make(map[int]int), 0
		for id, s := range p.All() {
			seen[id]++
			if id < 1000 && id%2 == 0 {
				s.Close("Bye")
				p.CloseSession((id+500)%1000, "Bye") // even as well
				poolRegister(t, p, 1000+id)
				born++
			}
		}
		for id := 1; id < 1000; id += 2 {
			require.Equal(t, 1, seen[id])
		}
		require.Equal(t, 500+born, p.Len())

		n := 0
		for range p.All() {
			if n++; n == 10 {
				break
			}
		}
		require.Equal(t, 10, n)
		for _, s := range p.All() {
			s.Close("Bye")
		}
		require.Zero(t, p.Len())
	})
}

func TestStatsBalance(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{IdleTimeout: time.Second, MaxSessions: 3})
		for id := range 3 {
			poolRegister(t, p, id)
		}
		_, _ = p.Register(3, new(poolConn))
		_, _ = p.Register(2, new(poolConn))
		_, _ = p.Register(2, new(poolConn))
		_, _ = p.Register(2, nil)
		p.CloseSession(0, "Kicked")
		p.CloseSession(0, "Kicked")
		require.Equal(t, pool.Stats{
			Sessions: 2, Registered: 3, Closed: 1, RefusedDuplicate: 2, RefusedFull: 1,
			ByReason: map[pool.Reason]uint64{"Kicked": 1},
		}, p.Stats())
		time.Sleep(time.Second + poolTick)
		synctest.Wait()
		poolRegister(t, p, 4)
		require.NoError(t, p.Shutdown(t.Context()))
		_, _ = p.Register(5, new(poolConn))
		require.Equal(t, pool.Stats{
			Registered: 4, Closed: 4, RefusedDuplicate: 2, RefusedFull: 1, RefusedClosed: 1,
			ByReason: map[pool.Reason]uint64{"Kicked": 1, pool.Timeout: 2, pool.Shutdown: 1},
		}, p.Stats())
	})
}

func TestStatsCountABoundedNumberOfReasons(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{})
		const many = 20_000
		for i := range many {
			poolRegister(t, p, i).Close(pool.Reason(fmt.Sprint("reason ", i)))
		}
		st := p.Stats()
		require.EqualValues(t, many, st.Closed)
		require.Len(t, st.ByReason, 65, "over all shards")
		sum := uint64(0)
		for _, n := range st.ByReason {
			sum += n
		}
		require.EqualValues(t, many, sum)
		require.EqualValues(t, many-64, st.ByReason[pool.OtherReasons])
		poolRegister(t, p, many)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.EqualValues(t, 1, p.Stats().ByReason[pool.Timeout], "the pool's own stay apart")

		// Reasons known by then are still counted apart.
		one := poolNew(t, poolConfig{})
		for i := range 65 {
			poolRegister(t, one, 1).Close(pool.Reason(fmt.Sprint("reason ", i)))
		}
		poolRegister(t, one, 1).Close("reason 63")
		st = one.Stats()
		require.Len(t, st.ByReason, 65)
		require.EqualValues(t, 1, st.ByReason[pool.OtherReasons])
		require.EqualValues(t, 2, st.ByReason["reason 63"])
	})
}

func TestPoolsMayShareAWheelWhichOutlivesThem(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		w := poolWheel(t)
		a := poolNew(t, poolConfig{Wheel: w, IdleTimeout: 10 * time.Second})
		b := poolNew(t, poolConfig{Wheel: w, IdleTimeout: 20 * time.Second})
		first := poolRegister(t, a, 1)
		poolRegister(t, a, 2).SetIdleTimeout(-1)
		second := poolRegister(t, b, 1)
		require.Equal(t, 3, w.Len())
		time.Sleep(10*time.Second + poolTick)
		require.Equal(t, pool.Timeout, first.Reason())
		require.Empty(t, second.Reason())
		require.NoError(t, a.Shutdown(t.Context()))
		require.Equal(t, 1, w.Len())
		time.Sleep(10 * time.Second)
		require.Equal(t, pool.Timeout, second.Reason())
		require.Zero(t, w.Len())
		fired := false
		w.AfterFunc(time.Second, func() { fired = true })
		time.Sleep(time.Second + poolTick)
		synctest.Wait()
		require.True(t, fired)
	})
}

func TestAPanicIsHandedOnAndTheBooksBalance(t *testing.T) {
	for _, place := range []string{"OnNewSessionRegister", "conn.Close", "OnSessionClosed"} {
		for _, cause := range poolCauses {
			t.Run(fmt.Sprintf("%s/%s", place, cause.reason), func(t *testing.T) {
				poolBubble(t, func(t *testing.T) {
					var told, panics atomic.Int32
					conn := &poolConn{onClose: func() {
						if place == "conn.Close" {
							panic(place)
						}
					}}
					p := poolNew(t, poolConfig{
						IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace,
						OnNewSessionRegister: func(s *poolSession) {
							if s.Conn() == conn && place == "OnNewSessionRegister" {
								panic(place)
							}
						},
						OnSessionClosed: func(s *poolSession, _ pool.Reason) {
							if s.Conn() != conn {
								return
							}
							told.Add(1)
							if place == "OnSessionClosed" {
								panic(place)
							}
						},
						OnPanic: func(v any, stack []byte) {
							if v == place && len(stack) > 0 {
								panics.Add(1)
							}
						},
					})
					s, err := p.Register(1, conn)
					require.NoError(t, err)
					cause.end(p, s)
					synctest.Wait()
					require.Equal(t, cause.reason, s.Reason())
					require.True(t, poolEnded(s))
					require.EqualValues(t, 1, conn.closes.Load())
					require.EqualValues(t, 1, told.Load())
					require.EqualValues(t, 1, panics.Load())
					require.NoError(t, p.Shutdown(t.Context()))
					st := p.Stats()
					require.Zero(t, st.Sessions)
					require.Equal(t, st.Registered, st.Closed)
				})
			})
		}
	}
}

func TestWithoutOnPanicAPanicGoesOnAndTheBooksBalance(t *testing.T) {
	for _, place := range []string{"OnNewSessionRegister", "conn.Close", "OnSessionClosed"} {
		t.Run(place, func(t *testing.T) {
			poolBubble(t, func(t *testing.T) {
				told := 0
				at := func(here string) {
					if here == place {
						panic(place)
					}
				}
				p := poolNew(t, poolConfig{
					OnNewSessionRegister: func(*poolSession) { at("OnNewSessionRegister") },
					OnSessionClosed:      func(*poolSession, pool.Reason) { told++; at("OnSessionClosed") },
				})
				act := func() {
					s, _ := p.Register(1, &poolConn{onClose: func() { at("conn.Close") }})
					s.Close("Bye")
				}
				require.PanicsWithValue(t, place, act)
				s, open := p.Get(1)
				require.Equal(t, place == "OnNewSessionRegister", open)
				require.NoError(t, p.Shutdown(t.Context()))
				require.Equal(t, 1, told)
				require.False(t, open && !poolEnded(s))
				require.EqualValues(t, 1, p.Stats().Closed)
			})
		})
	}
}

func TestAnIDThatDoesNotEqualItselfIsRefused(t *testing.T) {
	p, err := pool.New(pool.Config[float64, io.Closer]{})
	require.NoError(t, err)
	_, err = p.Register(math.NaN(), new(poolConn))
	require.ErrorIs(t, err, pool.ErrBadID)
	require.Zero(t, p.Len())
	require.NoError(t, p.Shutdown(t.Context()))
}
