package pool_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// recentConn is a connection with an address.
type recentConn struct {
	closed chan struct{}
	addr   func(c *recentConn) net.Addr
}

func newRecentConn(addr func(c *recentConn) net.Addr) *recentConn {
	return &recentConn{make(chan struct{}), addr}
}

func at(addr string) *recentConn {
	return newRecentConn(func(*recentConn) net.Addr { return textAddr(func() string { return addr }) })
}

func (c *recentConn) Close() error {
	close(c.closed)
	return nil
}

func (c *recentConn) RemoteAddr() net.Addr { return c.addr(c) }

// textAddr is an address that a func writes.
type textAddr func() string

func (textAddr) Network() string  { return "test" }
func (a textAddr) String() string { return a() }

func recentPool[K comparable](t *testing.T, c pool.Config[K, *recentConn]) *pool.Pool[K, *recentConn] {
	t.Helper()
	p, err := pool.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p
}

func recentRegister[K comparable](t *testing.T, p *pool.Pool[K, *recentConn], id K, c *recentConn) *pool.Session[K, *recentConn] {
	t.Helper()
	s, err := p.Register(id, c)
	require.NoError(t, err)
	return s
}

func TestRecentlyClosed_TellsWhoClosedWhenAndWhyTheNewestFirst(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := recentPool(t, pool.Config[string, *recentConn]{
			IdleTimeout: 10 * time.Second, MaxLifetime: time.Minute, OnDuplicate: pool.Replace,
		})
		require.Empty(t, p.RecentlyClosed())
		began := time.Now()
		recentRegister(t, p, "idle", at("10.0.0.1:1"))
		recentRegister(t, p, "old", at("10.0.0.2:2")).SetIdleTimeout(-1)
		recentRegister(t, p, "kicked", at("10.0.0.3:3"))
		recentRegister(t, p, "twice", at("10.0.0.4:4"))
		time.Sleep(time.Second)
		require.True(t, p.CloseSession("kicked", "Kicked"))
		time.Sleep(time.Second)
		recentRegister(t, p, "twice", at("10.0.0.5:5")).SetIdleTimeout(-1)
		time.Sleep(70 * time.Second)

		type entry struct {
			id, address string
			reason      pool.Reason
			at          time.Duration // since the start
		}
		want := []entry{
			{"twice", "10.0.0.5:5", pool.Lifetime, 62 * time.Second},
			{"old", "10.0.0.2:2", pool.Lifetime, 60 * time.Second},
			{"idle", "10.0.0.1:1", pool.Timeout, 10 * time.Second},
			{"twice", "10.0.0.4:4", pool.Replaced, 2 * time.Second},
			{"kicked", "10.0.0.3:3", "Kicked", time.Second},
		}
		got := p.RecentlyClosed()
		require.Len(t, got, len(want))
		for i, w := range want {
			c := got[i]
			require.Equal(t, []any{w.id, w.address, w.reason}, []any{c.ID, c.Address, c.Reason})
			late := c.At.Sub(began.Add(w.at))
			require.LessOrEqual(t, late, 10*time.Millisecond, c.ID)
			switch w.reason {
			case pool.Timeout, pool.Lifetime:
				require.Equal(t, late, c.Late, c.ID)
			default:
				require.Zero(t, late, c.ID)
				require.Zero(t, c.Late, c.ID)
			}
		}

		recentRegister(t, p, "last", at("10.0.0.6:6"))
		require.NoError(t, p.Shutdown(t.Context()))
		require.Equal(t, pool.Shutdown, p.RecentlyClosed()[0].Reason)
	})
}

func TestRecentlyClosed_TellsHowLateAnExpiryWas(t *testing.T) {
	for _, c := range []pool.Config[int, *recentConn]{
		{IdleTimeout: time.Second},
		{IdleTimeout: -1, MaxLifetime: time.Second},
	} {
		harness.Bubble(t, func(t *testing.T) {
			w, err := wheel.New(wheel.Config{MaxCallbacks: 1})
			require.NoError(t, err)
			defer w.Close()
			c.Wheel = w
			p := recentPool(t, c)
			w.AfterFunc(time.Second-50*time.Millisecond, func() { time.Sleep(3 * time.Second) })
			recentRegister(t, p, 1, at(""))
			time.Sleep(10 * time.Second)
			recentRegister(t, p, 2, at("")).Close(pool.Timeout) // before its deadline
			got := p.RecentlyClosed()
			require.Len(t, got, 2)
			require.Zero(t, got[0].Late)
			require.InDelta(t, 2950*time.Millisecond, got[1].Late, float64(20*time.Millisecond), got[1].Reason)
		})
	}
}

// A session that becomes overdue at once, since its timeout is made shorter or its pin
// ends, is not late by the time before that.
func TestRecentlyClosed_CountsNoLatenessFromBeforeASessionWasToEnd(t *testing.T) {
	for name, end := range map[string]func(*pool.Session[int, *recentConn]){
		"a shorter timeout": func(s *pool.Session[int, *recentConn]) { s.SetIdleTimeout(time.Second) },
		"a pin": func(s *pool.Session[int, *recentConn]) {
			s.Pin()
			s.SetIdleTimeout(time.Second)
			time.Sleep(time.Hour)
			s.UnpinAndExpire()
		},
	} {
		t.Run(name, func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				w := harness.NewWheel(t, wheel.Config{})
				p := recentPool(t, pool.Config[int, *recentConn]{Wheel: w, IdleTimeout: 10 * time.Hour})
				s := recentRegister(t, p, 1, at(""))
				time.Sleep(time.Hour)
				end(s)
				<-s.Done()
				require.Equal(t, pool.Timeout, s.Reason())
				require.LessOrEqual(t, p.RecentlyClosed()[0].Late, 10*time.Millisecond)
				require.LessOrEqual(t, w.Stats().Late.Sum, 10*time.Millisecond)
			})
		})
	}
}

func TestRecentlyClosed_ReturnsTheLast64(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := recentPool(t, pool.Config[int, *recentConn]{})
		for i := range 200 {
			recentRegister(t, p, i, at(fmt.Sprint(i))).Close("Bye")
			time.Sleep(time.Millisecond)
		}
		got := p.RecentlyClosed()
		require.Len(t, got, 64)
		for i, c := range got {
			require.Equal(t, 199-i, c.ID)
			require.Equal(t, fmt.Sprint(c.ID), c.Address)
		}
	})
}

func TestRecentlyClosed_HoldsASessionInItsOnSessionClosed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var p *pool.Pool[int, *recentConn]
		var seen []pool.ClosedSession[int]
		p = recentPool(t, pool.Config[int, *recentConn]{
			OnSessionClosed: func(*pool.Session[int, *recentConn], pool.Reason) { seen = p.RecentlyClosed() },
		})
		recentRegister(t, p, 7, at("10.0.0.1:1")).Close("Bye")
		require.Len(t, seen, 1)
		require.Equal(t, 7, seen[0].ID)
	})
}

// name is an ID of a kind of string.
type name string

func TestRecentlyClosed_CutsLongTextsAndKeepsNoneOfThem(t *testing.T) {
	p := recentPool(t, pool.Config[name, *recentConn]{})
	const long = 1 << 20
	text := func(begin string) string { return begin + strings.Repeat("é", long/2) }
	reason := pool.Reason(text("no")) // one for all, since Stats keeps reasons whole
	for i := range 64 {
		begin := fmt.Sprintf("%03d", i)
		recentRegister(t, p, name(text(begin)), at(text(begin))).Close(reason)
	}
	require.Equal(t, reason[:256], p.RecentlyClosed()[0].Reason)
	for range 64 { // a short part of a long text keeps that alive as a whole
		whole := text("")
		recentRegister(t, p, name(whole[:4]), at(whole[4:8])).Close("no")
	}
	for i := range 64 {
		begin := fmt.Sprintf("%03d", i)
		recentRegister(t, p, name(text(begin)), at(text(begin))).Close("no")
	}
	for _, c := range p.RecentlyClosed() {
		want := string(c.ID)[:3] + strings.Repeat("é", 126)
		require.Equal(t, want, string(c.ID))
		require.Equal(t, want, c.Address)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	require.Less(t, m.HeapAlloc, uint64(16*long), "the texts were hundreds of mebibytes")
}

func TestRecentlyClosed_AsksForTheAddressWhenTheConnectionIsClosed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := recentPool(t, pool.Config[int, *recentConn]{})
		s := recentRegister(t, p, 1, newRecentConn(func(c *recentConn) net.Addr {
			<-c.closed // as where the address is read from the connection itself
			return textAddr(func() string { return "10.0.0.1:1" })
		}))
		require.True(t, s.Close("Bye"))
		require.Equal(t, "10.0.0.1:1", p.RecentlyClosed()[0].Address)
	})
}

func TestRecentlyClosed_OutlivesAnAddressThatPanics(t *testing.T) {
	for name, addr := range map[string]func(*recentConn) net.Addr{
		"RemoteAddr": func(*recentConn) net.Addr { panic("boom") },
		"String":     func(*recentConn) net.Addr { return textAddr(func() string { panic("boom") }) },
	} {
		for _, told := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/OnPanic=%v", name, told), func(t *testing.T) {
				harness.Bubble(t, func(t *testing.T) {
					closed := 0
					var panics []any
					c := pool.Config[int, *recentConn]{
						IdleTimeout:     time.Second,
						OnSessionClosed: func(*pool.Session[int, *recentConn], pool.Reason) { closed++ },
					}
					if told {
						c.OnPanic = func(v any, stack []byte) {
							require.Contains(t, string(stack), "recent_test.go")
							panics = append(panics, v)
						}
					}
					p := recentPool(t, c)
					s := recentRegister(t, p, 1, newRecentConn(addr))
					time.Sleep(2 * time.Second) // it times out, on a goroutine that nothing here could recover on
					<-s.Done()
					require.Equal(t, 1, closed)
					require.Equal(t, "(RemoteAddr panicked)", p.RecentlyClosed()[0].Address)
					if told {
						require.Equal(t, []any{"boom"}, panics)
					}
				})
			})
		}
	}
}

func TestRecentlyClosed_HoldsNoLockWhileItAsksForAnAddress(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var p *pool.Pool[int, *recentConn]
		var s *pool.Session[int, *recentConn]
		use := func() {
			require.Equal(t, pool.Reason("Bye"), s.Reason())
			_, err := p.Register(1, at("")) // the ID of s
			require.NoError(t, err)
			require.True(t, p.CloseSession(1, "Again"))
			require.NotEmpty(t, p.RecentlyClosed())
			p.Stats()
		}
		p = recentPool(t, pool.Config[int, *recentConn]{})
		s = recentRegister(t, p, 1, newRecentConn(func(*recentConn) net.Addr {
			use()
			return textAddr(func() string { use(); return "10.0.0.1:1" })
		}))
		require.True(t, s.Close("Bye"))
		require.Len(t, p.RecentlyClosed(), 3)
	})
}

func TestRecentlyClosed_IsReadWhileManySessionsClose(t *testing.T) {
	p := recentPool(t, pool.Config[string, *recentConn]{})
	closing := make(chan struct{})
	var closers, readers sync.WaitGroup
	for g := range 4 {
		closers.Go(func() {
			for i := range 2000 {
				id := fmt.Sprintf("%d-%d", g, i)
				s, err := p.Register(id, at(id))
				if err != nil || !s.Close(pool.Reason(fmt.Sprint("by ", g))) {
					t.Errorf("session %s: %v", id, err)
				}
			}
		})
	}
	check := func() int {
		got := p.RecentlyClosed()
		seen := make(map[string]bool)
		for i, c := range got {
			if c.Address != c.ID || string(c.Reason) != "by "+c.ID[:1] || seen[c.ID] || i > 0 && c.At.After(got[i-1].At) {
				t.Errorf("%d: %+v", i, c)
			}
			seen[c.ID] = true
		}
		return len(got)
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-closing:
					return
				default:
					check()
				}
			}
		})
	}
	closers.Wait()
	close(closing)
	readers.Wait()
	require.Equal(t, 64, check())
}
