package pool_test

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
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestConfig_ErrorsOfAPoolNameTheField(t *testing.T) {
	closed, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	closed.Close()
	for field, c := range map[string]testConfig{
		"Config.Wheel":       {Wheel: closed},
		"Config.OnDuplicate": {OnDuplicate: pool.Replace + 1},
	} {
		p, err := pool.New(c)
		require.ErrorContains(t, err, "pool: "+field)
		require.Nil(t, p)
	}
}

func TestConfig_NegativeIsNoLimit(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{IdleTimeout: -1, MaxLifetime: -1, MaxSessions: -1})
		const sessions = 100
		for id := range sessions {
			mustRegister(t, p, id)
		}
		time.Sleep(1000 * time.Hour)
		require.Equal(t, sessions, p.Len())
	})
}

func TestGet_FindsASessionUnderItsID(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{})
		conn := new(testConn)
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

func TestCloseSession_ReportsWhetherItClosedOne(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{})
		require.False(t, p.CloseSession(1, "Kicked"))
		s := mustRegister(t, p, 1)
		require.True(t, p.CloseSession(1, "Kicked"))
		require.Equal(t, pool.Reason("Kicked"), s.Reason())
		require.False(t, p.CloseSession(1, "Again"))
		require.Equal(t, map[pool.Reason]uint64{"Kicked": 1}, p.Stats().ByReason)
	})
}

type (
	funcConn  func()
	valueConn struct{}
)

func (f funcConn) Close() error { f(); return nil }

func (valueConn) Close() error { return nil }

// registerAs registers conn in a pool of its type.
func registerAs[C io.Closer](t *testing.T, conn C) error {
	t.Helper()
	p, err := pool.New(pool.Config[string, C]{})
	require.NoError(t, err)
	_, err = p.Register("a", conn)
	require.NoError(t, p.Shutdown(context.Background()))
	return err
}

func TestRegister_RefusesANilConnection(t *testing.T) {
	var tcp *net.TCPConn
	require.ErrorIs(t, registerAs[*net.TCPConn](t, nil), pool.ErrNilConn)
	require.ErrorIs(t, registerAs[net.Conn](t, nil), pool.ErrNilConn)
	require.ErrorIs(t, registerAs[net.Conn](t, tcp), pool.ErrNilConn)
	require.ErrorIs(t, registerAs[io.Closer](t, funcConn(nil)), pool.ErrNilConn)
	require.ErrorIs(t, registerAs[funcConn](t, nil), pool.ErrNilConn)
	require.NoError(t, registerAs(t, funcConn(func() {})))
	require.NoError(t, registerAs(t, valueConn{}))
	require.NoError(t, registerAs[io.Closer](t, valueConn{}))
}

func TestReplace_HasRoomInAFullPool(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{MaxSessions: 2, OnDuplicate: pool.Replace})
		mustRegister(t, p, 1)
		second := mustRegister(t, p, 2)
		third := mustRegister(t, p, 2)
		require.Equal(t, pool.Replaced, second.Reason())
		_, err := p.Register(3, new(testConn))
		require.ErrorIs(t, err, pool.ErrFull)
		require.Equal(t, 2, p.Len())
		synctest.Wait()
		require.Equal(t, 2, p.Len())
		require.True(t, third.Close("Bye"))
		mustRegister(t, p, 3)
		require.Equal(t, 2, p.Len())
	})
}

func TestAll_GoesOverTheSessionsOnce(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{})
		want := make(map[int]*testSession)
		for id := range 1000 {
			want[id] = mustRegister(t, p, id)
		}
		got := make(map[int]*testSession)
		for id, s := range p.All() {
			require.Nil(t, got[id])
			got[id] = s
		}
		require.Equal(t, want, got)

		// Sessions that are closed or registered during the loop may be seen or not. All
		// others are seen.
		seen, born := make(map[int]int), 0
		for id, s := range p.All() {
			seen[id]++
			if id < 1000 && id%2 == 0 {
				s.Close("Bye")
				p.CloseSession((id+500)%1000, "Bye") // even as well
				mustRegister(t, p, 1000+id)
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

func TestStats_Balance(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{IdleTimeout: time.Second, MaxSessions: 3})
		for id := range 3 {
			mustRegister(t, p, id)
		}
		_, _ = p.Register(3, new(testConn))
		_, _ = p.Register(2, new(testConn))
		_, _ = p.Register(2, new(testConn))
		_, _ = p.Register(2, nil)
		p.CloseSession(0, "Kicked")
		p.CloseSession(0, "Kicked")
		require.Equal(t, pool.Stats{
			Sessions: 2, Registered: 3, Closed: 1, RefusedDuplicate: 2, RefusedFull: 1,
			ByReason: map[pool.Reason]uint64{"Kicked": 1},
		}, p.Stats())
		time.Sleep(time.Second + harness.Tick)
		synctest.Wait()
		mustRegister(t, p, 4)
		require.NoError(t, p.Shutdown(t.Context()))
		_, _ = p.Register(5, new(testConn))
		require.Equal(t, pool.Stats{
			Registered: 4, Closed: 4, RefusedDuplicate: 2, RefusedFull: 1, RefusedClosed: 1,
			ByReason: map[pool.Reason]uint64{"Kicked": 1, pool.Timeout: 2, pool.Shutdown: 1},
		}, p.Stats())
	})
}

func TestStats_CountABoundedNumberOfReasons(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{})
		const many = 20_000
		for i := range many {
			mustRegister(t, p, i).Close(pool.Reason(fmt.Sprint("reason ", i)))
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
		mustRegister(t, p, many)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.EqualValues(t, 1, p.Stats().ByReason[pool.Timeout], "the pool's own stay apart")

		// Reasons known by then are still counted apart.
		one := newPool(t, testConfig{})
		for i := range 65 {
			mustRegister(t, one, 1).Close(pool.Reason(fmt.Sprint("reason ", i)))
		}
		mustRegister(t, one, 1).Close("reason 63")
		st = one.Stats()
		require.Len(t, st.ByReason, 65)
		require.EqualValues(t, 1, st.ByReason[pool.OtherReasons])
		require.EqualValues(t, 2, st.ByReason["reason 63"])
	})
}

func TestSharedWheel_OutlivesItsPools(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		w := harness.NewWheel(t, wheel.Config{})
		a := newPool(t, testConfig{Wheel: w, IdleTimeout: 10 * time.Second})
		b := newPool(t, testConfig{Wheel: w, IdleTimeout: 20 * time.Second})
		first := mustRegister(t, a, 1)
		mustRegister(t, a, 2).SetIdleTimeout(-1)
		second := mustRegister(t, b, 1)
		require.Equal(t, 3, w.Len())
		time.Sleep(10*time.Second + harness.Tick)
		require.Equal(t, pool.Timeout, first.Reason())
		require.Empty(t, second.Reason())
		require.NoError(t, a.Shutdown(t.Context()))
		require.Equal(t, 1, w.Len())
		time.Sleep(10 * time.Second)
		require.Equal(t, pool.Timeout, second.Reason())
		require.Zero(t, w.Len())
		fired := false
		w.AfterFunc(time.Second, func() { fired = true })
		time.Sleep(time.Second + harness.Tick)
		synctest.Wait()
		require.True(t, fired)
	})
}

func TestPanic_IsHandedToOnPanicAndTheCountsBalance(t *testing.T) {
	for _, place := range []string{"OnNewSessionRegister", "conn.Close", "OnSessionClosed"} {
		for _, cause := range closeCauses {
			t.Run(fmt.Sprintf("%s/%s", place, cause.reason), func(t *testing.T) {
				harness.Bubble(t, func(t *testing.T) {
					var told, panics atomic.Int32
					conn := &testConn{onClose: func() {
						if place == "conn.Close" {
							panic(place)
						}
					}}
					p := newPool(t, testConfig{
						IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace,
						OnNewSessionRegister: func(s *testSession) {
							if s.Conn() == conn && place == "OnNewSessionRegister" {
								panic(place)
							}
						},
						OnSessionClosed: func(s *testSession, _ pool.Reason) {
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
					require.True(t, hasEnded(s))
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

func TestPanic_WithoutOnPanicGoesOnAndTheCountsBalance(t *testing.T) {
	for _, place := range []string{"OnNewSessionRegister", "conn.Close", "OnSessionClosed"} {
		t.Run(place, func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				told := 0
				at := func(here string) {
					if here == place {
						panic(place)
					}
				}
				p := newPool(t, testConfig{
					OnNewSessionRegister: func(*testSession) { at("OnNewSessionRegister") },
					OnSessionClosed:      func(*testSession, pool.Reason) { told++; at("OnSessionClosed") },
				})
				act := func() {
					s, _ := p.Register(1, &testConn{onClose: func() { at("conn.Close") }})
					s.Close("Bye")
				}
				require.PanicsWithValue(t, place, act)
				s, open := p.Get(1)
				require.Equal(t, place == "OnNewSessionRegister", open)
				require.NoError(t, p.Shutdown(t.Context()))
				require.Equal(t, 1, told)
				require.False(t, open && !hasEnded(s))
				require.EqualValues(t, 1, p.Stats().Closed)
			})
		})
	}
}

func TestRegister_RefusesAnIDThatDoesNotEqualItself(t *testing.T) {
	p, err := pool.New(pool.Config[float64, io.Closer]{})
	require.NoError(t, err)
	_, err = p.Register(math.NaN(), new(testConn))
	require.ErrorIs(t, err, pool.ErrBadID)
	require.Zero(t, p.Len())
	require.NoError(t, p.Shutdown(t.Context()))
}
