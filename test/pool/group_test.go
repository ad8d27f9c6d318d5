package pool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

type (
	room   = pool.Group[int, unclosed]
	member = pool.Session[int, unclosed]
)

func newRoomPool(t testing.TB, c pool.Config[int, unclosed]) *pool.Pool[int, unclosed] {
	t.Helper()
	p, err := pool.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p
}

func join(t testing.TB, p *pool.Pool[int, unclosed], g *room, id int) *member {
	t.Helper()
	s, err := p.Register(id, unclosed{})
	require.NoError(t, err)
	require.True(t, g.Add(s))
	return s
}

func ids(g *room) []int {
	var all []int
	for s := range g.All() {
		all = append(all, s.ID())
	}
	slices.Sort(all)
	return all
}

func TestGroup_ItsZeroValueIsEmptyAndWorks(t *testing.T) {
	p := newRoomPool(t, pool.Config[int, unclosed]{})
	var g room
	require.Zero(t, g.Len())
	require.Empty(t, ids(&g))
	s := join(t, p, &g, 1)
	require.True(t, g.Add(s), "a member already")
	require.Equal(t, 1, g.Len())
	require.Equal(t, []int{1}, ids(&g))
	require.True(t, g.Remove(s))
	require.False(t, g.Remove(s), "no member any more")
	require.Zero(t, g.Len())
	require.Empty(t, s.Reason(), "it is open as before")
}

func TestGroup_ASessionLeavesItWhateverItIsClosedFor(t *testing.T) {
	for _, want := range []pool.Reason{"Kicked", pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown} {
		t.Run(string(want), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rooms [3]room
				left := make(chan int, 1)
				p, err := pool.New(pool.Config[int, unclosed]{
					OnDuplicate: pool.Replace,
					MaxLifetime: map[pool.Reason]time.Duration{pool.Lifetime: time.Second}[want],
					OnSessionClosed: func(s *member, r pool.Reason) {
						if s.ID() == 1 && r == want {
							left <- rooms[0].Len() + rooms[1].Len() + rooms[2].Len()
						}
					},
				})
				require.NoError(t, err)
				defer p.Shutdown(context.Background())
				s, err := p.Register(1, unclosed{})
				require.NoError(t, err)
				for i := range rooms {
					require.True(t, rooms[i].Add(s))
				}
				switch want {
				case pool.Replaced:
					_, err := p.Register(1, unclosed{})
					require.NoError(t, err)
				case pool.Shutdown:
					require.NoError(t, p.Shutdown(context.Background()))
				case "Kicked":
					require.True(t, s.Close(want))
				}
				require.Zero(t, <-left, "it had left before its OnSessionClosed was called")
				require.Equal(t, want, s.Reason())
				require.False(t, rooms[0].Add(s), "a closed session joins nothing")
				require.Zero(t, rooms[0].Len())
				require.False(t, rooms[1].Remove(s))
			})
		})
	}
}

func TestGroup_AClosedSessionWithAContextAndDoneLeavesToo(t *testing.T) {
	p := newRoomPool(t, pool.Config[int, unclosed]{})
	var g room
	s := join(t, p, &g, 1)
	s.SetIdleTimeout(time.Hour)
	ctx, done := s.Context(), s.Done()
	require.True(t, s.Close("Kicked"))
	<-ctx.Done()
	<-done
	require.Zero(t, g.Len())
}

func TestGroup_ASuccessorUnderTheSameIDIsAnotherMember(t *testing.T) {
	p := newRoomPool(t, pool.Config[int, unclosed]{OnDuplicate: pool.Replace})
	var g room
	first := join(t, p, &g, 1)
	second := join(t, p, &g, 1)
	require.False(t, g.Remove(first), "it was replaced")
	require.Equal(t, []*member{second}, slices.Collect(g.All()))
}

func TestGroup_HasSessionsOfSeveralPools(t *testing.T) {
	one, other := newRoomPool(t, pool.Config[int, unclosed]{}), newRoomPool(t, pool.Config[int, unclosed]{})
	var g room
	join(t, one, &g, 1)
	join(t, other, &g, 1)
	require.Equal(t, []int{1, 1}, ids(&g))
	require.NoError(t, one.Shutdown(t.Context()))
	require.Equal(t, 1, g.Len())
}

func TestGroup_MembersAreClosedRemovedAndAddedInsideALoopOverIt(t *testing.T) {
	p := newRoomPool(t, pool.Config[int, unclosed]{})
	var g room
	for id := range 100 {
		join(t, p, &g, id)
	}
	n := 0
	for s := range g.All() {
		n++
		for other := range g.All() { // a loop inside the loop
			require.NotNil(t, other)
			break
		}
		switch s.ID() % 4 {
		case 0:
			require.True(t, s.Close("Kicked"))
		case 1:
			require.True(t, g.Remove(s))
		case 2:
			join(t, p, &g, 1000+s.ID())
		}
	}
	require.GreaterOrEqual(t, n, 100)
	require.Equal(t, 75, g.Len())
}

func TestGroup_ALoopPassesOverWhatItsBodyHasClosed(t *testing.T) {
	p := newRoomPool(t, pool.Config[int, unclosed]{})
	var g room
	for id := range 10 {
		join(t, p, &g, id)
	}
	seen := 0
	for s := range g.All() {
		seen++
		for other := range g.All() {
			if other != s {
				other.Close("Kicked")
			}
		}
	}
	require.Equal(t, 1, seen)
}

// The model is a set of IDs for each group.
func TestGroup_AgreesWithASetWhateverIsDoneToIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := pool.New(pool.Config[int, unclosed]{OnDuplicate: pool.Replace})
		require.NoError(t, err)
		defer p.Shutdown(context.Background())
		var groups [3]room
		model := [3]map[int]bool{{}, {}, {}}
		open := map[int]*member{}
		id := rapid.IntRange(0, 40)
		which := rapid.IntRange(0, len(groups)-1)
		session := func(t *rapid.T) (int, *member) {
			n := id.Draw(t, "id")
			if open[n] == nil {
				t.Skip("no session has this ID")
			}
			return n, open[n]
		}
		forget := func(n int) {
			for i := range model {
				delete(model[i], n)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"register": func(t *rapid.T) {
				n := id.Draw(t, "id")
				s, err := p.Register(n, unclosed{})
				require.NoError(t, err)
				forget(n)
				open[n] = s
			},
			"add": func(t *rapid.T) {
				n, s := session(t)
				g := which.Draw(t, "group")
				require.True(t, groups[g].Add(s))
				model[g][n] = true
			},
			"remove": func(t *rapid.T) {
				n, s := session(t)
				g := which.Draw(t, "group")
				require.Equal(t, model[g][n], groups[g].Remove(s))
				delete(model[g], n)
			},
			"close": func(t *rapid.T) {
				n, s := session(t)
				require.True(t, s.Close("Kicked"))
				forget(n)
				delete(open, n)
			},
			"idle timeout": func(t *rapid.T) {
				_, s := session(t)
				s.SetIdleTimeout(time.Hour)
			},
			"": func(t *rapid.T) {
				for g := range groups {
					require.Equal(t, len(model[g]), groups[g].Len())
					var want []int
					for n := range model[g] {
						want = append(want, n)
					}
					slices.Sort(want)
					require.Equal(t, want, ids(&groups[g]))
				}
			},
		})
	})
}

func TestGroup_ManyGoroutinesChangeItWhileOthersReadIt(t *testing.T) {
	p := newRoomPool(t, pool.Config[int, unclosed]{OnDuplicate: pool.Replace})
	var groups [4]room
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range 2000 {
				s, err := p.Register(r.IntN(50), unclosed{})
				if err != nil {
					t.Error(err)
					return
				}
				for i := range groups {
					groups[i].Add(s)
				}
				switch r.IntN(3) {
				case 0:
					s.Close("Kicked")
				case 1:
					groups[r.IntN(len(groups))].Remove(s)
				case 2:
					for s := range groups[r.IntN(len(groups))].All() {
						s.Touch()
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range groups {
		for s := range groups[i].All() {
			require.Empty(t, s.Reason())
		}
		require.LessOrEqual(t, groups[i].Len(), 50)
	}
	require.NoError(t, p.Shutdown(t.Context()))
	for i := range groups {
		require.Zero(t, groups[i].Len(), "all have left")
	}
}

func TestGroup_GivesItsMemoryBack(t *testing.T) {
	n := 100_000
	if harness.RaceDetector {
		n = 50_000 // it makes so many slow, and does not change what they take
	}
	p := newRoomPool(t, pool.Config[int, unclosed]{IdleTimeout: time.Hour})
	all := make([]*member, n)
	for id := range all {
		s, err := p.Register(id, unclosed{})
		require.NoError(t, err)
		all[id] = s
	}
	var g room
	before := heap()
	for _, s := range all {
		require.True(t, g.Add(s))
	}
	each := float64(heap()-before) / float64(n)
	t.Logf("%.0f bytes for each member", each)
	require.Less(t, each, 300.0)
	for _, s := range all[100:] {
		require.True(t, g.Remove(s))
	}
	require.Equal(t, 100, g.Len())
	for _, s := range all[100:] {
		s.Close("Kicked") // what they had of their own goes with them
	}
	require.Less(t, float64(heap()-before)/float64(n), 10.0)
	runtime.KeepAlive(all)
}

func TestGroup_ASessionThatLeftManyKeepsNothingOfThem(t *testing.T) {
	p := newRoomPool(t, pool.Config[int, unclosed]{})
	s, err := p.Register(1, unclosed{})
	require.NoError(t, err)
	before := heap()
	for range 100_000 {
		g := new(room)
		require.True(t, g.Add(s))
		require.True(t, g.Remove(s))
	}
	require.Less(t, heap()-before, int64(1<<20))
	runtime.KeepAlive(s)
}

// A session's memberships take memory only until it leaves.
func TestGroup_ASessionThatLeavesTakesNoMoreThanBefore(t *testing.T) {
	n := 20_000
	if harness.RaceDetector {
		n = 10_000 // as above
	}
	p := newRoomPool(t, pool.Config[int, unclosed]{IdleTimeout: time.Hour})
	all := make([]*member, n)
	for id := range all {
		s, err := p.Register(id, unclosed{})
		require.NoError(t, err)
		all[id] = s
	}
	rooms := make([]room, n)
	for name, in := range map[string]func(i int) *member{
		"each of one":   func(i int) *member { return all[i] },
		"one of each":   func(int) *member { return all[0] },
		"many of a few": func(i int) *member { return all[i%10] },
	} {
		before := heap()
		for i := range rooms {
			require.True(t, rooms[i].Add(in(i)))
		}
		require.Greater(t, heap()-before, int64(50*n), name)
		for i := range rooms {
			require.True(t, rooms[i].Remove(in(i)))
		}
		require.Less(t, heap()-before, int64(2*n), name)
	}
	runtime.KeepAlive(rooms)
	runtime.KeepAlive(all)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkGroup_All(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newRoomPool(b, pool.Config[int, unclosed]{})
			var g room
			for id := range n {
				join(b, p, &g, id)
			}
			b.ReportAllocs()
			for b.Loop() {
				for s := range g.All() {
					_ = s
				}
			}
		})
	}
}
