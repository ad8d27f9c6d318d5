package sessionwheel_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// dashCrowd registers n sessions that differ in all that can be sorted by, with
// many equals among them.
func dashCrowd(t testing.TB, p *pool.Pool[int64, dashConn], n int) []*pool.Session[int64, dashConn] {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]*pool.Session[int64, dashConn], 0, n)
	for i := range n {
		id := int64(i)
		if i%3 == 0 {
			id = int64(random.Uint64()>>1) - 1<<20
		}
		addr := fmt.Sprintf("10.0.%d.%d:%d", random.IntN(3), random.IntN(20), 1000+random.IntN(100))
		all = append(all, dashRegister(t, p, id, addr))
		time.Sleep(time.Duration(random.IntN(3)) * time.Second)
	}
	for _, s := range all {
		switch random.IntN(10) {
		case 0:
			s.SetIdleTimeout(-1)
		case 1:
			s.Hold()
		case 2:
			s.SetIdleTimeout(time.Duration(1+random.IntN(5)) * time.Hour)
		case 3, 4, 5:
			s.Touch()
		}
		time.Sleep(time.Duration(random.IntN(2)) * time.Second)
	}
	return all
}

// dashModel is a page as it should be, by sorting all.
func dashModel(all []*pool.Session[int64, dashConn], q string, idle time.Duration, sort, order string, offset, limit int) dashPage {
	page := dashPage{Total: len(all), Offset: offset, Limit: limit, Sessions: []dashSession{}}
	now := time.Now()
	for _, s := range all {
		row := dashSession{
			ID: strconv.FormatInt(s.ID(), 10), Address: string(s.Conn()),
			Age: now.Sub(s.RegisteredAt()).Seconds(), Idle: now.Sub(s.LastActive()).Seconds(),
		}
		if at, ok := s.Deadline(); ok {
			left := at.Sub(now).Seconds()
			row.Remaining = &left
		}
		if now.Sub(s.LastActive()) >= idle && (q == row.ID || strings.Contains(row.Address, q)) {
			page.Sessions = append(page.Sessions, row)
		}
	}
	page.Matching = len(page.Sessions)
	left := func(s dashSession) float64 {
		if s.Remaining == nil {
			return math.Inf(1)
		}
		return *s.Remaining
	}
	byID := func(a, b dashSession) int { // negative ones are texts
		x, _ := strconv.ParseUint(a.ID, 10, 64)
		y, _ := strconv.ParseUint(b.ID, 10, 64)
		negative := func(id string) int { return strings.Count(id, "-") }
		return cmp.Or(cmp.Compare(negative(a.ID), negative(b.ID)), cmp.Compare(x, y), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(page.Sessions, func(a, b dashSession) int {
		c := 0
		switch sort {
		case "address":
			c = cmp.Compare(a.Address, b.Address)
		case "idle":
			c = cmp.Compare(a.Idle, b.Idle)
		case "remaining":
			c = cmp.Compare(left(a), left(b))
		case "age":
			c = cmp.Compare(a.Age, b.Age)
		}
		c = cmp.Or(c, byID(a, b))
		if order == "desc" {
			c = -c
		}
		return c
	})
	page.Sessions = page.Sessions[min(offset, page.Matching):min(offset+limit, page.Matching)]
	return page
}

func TestAPageOfSessionsIsWhatSortingAllOfThemGives(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := dashPool(t, pool.Config[int64, dashConn]{IdleTimeout: 24 * time.Hour})
		h := dashNew(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
		all := dashCrowd(t, p, 150)
		some := strconv.FormatInt(all[30].ID(), 10)
		idle := time.Since(all[40].LastActive()) // exactly that long
		for _, sort := range []string{"id", "address", "idle", "remaining", "age"} {
			for _, order := range []string{"asc", "desc"} {
				for _, q := range []string{"", "10.0.1.", ":10", some, some[:12], "nobody"} {
					for _, idle := range []time.Duration{0, idle} {
						for _, offset := range []int{0, 7, 149, 150, 1 << 30} {
							for _, limit := range []int{1, 7, 500} {
								query := url.Values{
									"q": {q}, "idle": {idle.String()}, "sort": {sort}, "order": {order},
									"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)},
								}.Encode()
								got := dashGet[dashPage](t, h, "/api/sessions?"+query)
								require.Equal(t, dashModel(all, q, idle, sort, order, offset, limit), got, query)
							}
						}
					}
				}
			}
		}
		want := dashModel(all, "", 0, "id", "asc", 0, 50)
		require.Equal(t, want, dashGet[dashPage](t, h, "/api/sessions"))
		require.Equal(t, want, dashGet[dashPage](t, h, "/api/sessions?q=&idle=&sort=&order=&offset=&limit="))
		found := dashGet[dashPage](t, h, "/api/sessions?q="+some)
		require.Equal(t, 1, found.Matching)
		require.Equal(t, some, found.Sessions[0].ID)
	})
}

func TestWhatASessionHasLeftFallsUntilItEnds(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := dashPool(t, pool.Config[string, dashConn]{IdleTimeout: 10 * time.Second})
		h := dashNew(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
		dashRegister(t, p, "a", "")
		dashRegister(t, p, "held", "").Hold()
		for i := range 10 {
			page := dashGet[dashPage](t, h, "/api/sessions")
			require.InDelta(t, 10-i, *page.Sessions[0].Remaining, 1e-9)
			require.InDelta(t, i, page.Sessions[0].Idle, 1e-9)
			require.Nil(t, page.Sessions[1].Remaining)
			time.Sleep(time.Second)
		}
		time.Sleep(poolTick)
		synctest.Wait()
		require.Equal(t, 1, dashGet[dashPage](t, h, "/api/sessions").Total)
	})
}

func TestASessionOfAPoolHasOneName(t *testing.T) {
	numbers := dashPool(t, pool.Config[int, dashConn]{})
	flags := dashPool(t, pool.Config[bool, dashConn]{})
	dashRegister(t, numbers, -7, "")
	dashRegister(t, flags, true, "")
	for _, tt := range []struct {
		source  dashboard.Source
		name    string
		strange []string
	}{
		{dashboard.Pool(numbers, nil, nil), "-7", []string{"-07", "7", "+7", "", "x"}},
		{dashboard.Pool(flags, nil, nil), "true", []string{"1", "t", "false", ""}},
	} {
		h := dashNew(t, dashboard.Config{Source: tt.source, Authorize: dashAllow})
		for _, name := range tt.strange {
			dashError(t, dashDo(h, http.MethodDelete, "/api/sessions/"+name), http.StatusNotFound)
		}
		require.Equal(t, http.StatusOK, dashDo(h, http.MethodDelete, "/api/sessions/"+tt.name).Code)
	}
}

func TestACloseThatComesTooLateIsNone(t *testing.T) {
	p := dashPool(t, pool.Config[int, dashConn]{})
	s := dashRegister(t, p, 1, "")
	name := func(int) string { s.Close("Earlier"); return "a" } // between the look for it and the close
	h := dashNew(t, dashboard.Config{Source: dashboard.Pool(p, name, nil), Authorize: dashAllow})
	dashError(t, dashDo(h, http.MethodDelete, "/api/sessions/a"), http.StatusNotFound)
	require.Equal(t, pool.Reason("Earlier"), s.Reason())
}

func TestAWrongParameterIsNamedAndSaysWhatToUse(t *testing.T) {
	h := dashNew(t, dashboard.Config{Source: dashIdle()})
	for query, want := range map[string][]string{
		"limit=0":                         {"limit", "1 to 500"},
		"limit=501":                       {"limit", "1 to 500"},
		"limit=x":                         {"limit", "1 to 500"},
		"offset=-1":                       {"offset", "0 to"},
		"offset=1073741825":               {"offset", "0 to"},
		"offset=99999999999999999999":     {"offset", "0 to"},
		"idle=10":                         {"idle", "90s"},
		"idle=-1s":                        {"idle", "90s"},
		"sort=name":                       {"sort", `"remaining"`},
		"order=up":                        {"order", "desc"},
		"q=" + strings.Repeat("x", 257):   {"parameter q", "256"},
		"srot=id":                         {"srot", `"sort"`},
		"limit=1&limit=2":                 {"limit", "once"},
		"q=%zz":                           {"query"},
		strings.Repeat("x", 2000) + "=id": {"xxx", `"sort"`},
	} {
		text := dashError(t, dashDo(h, http.MethodGet, "/api/sessions?"+query), http.StatusBadRequest)
		for _, part := range want {
			require.Contains(t, text, part)
		}
		require.Less(t, len(text), 300)
	}
	dashGet[dashPage](t, h, "/api/sessions?q="+strings.Repeat("x", 256))
}

func TestAPageKeepsNoMoreSessionsThanItShows(t *testing.T) {
	p := dashPool(t, pool.Config[int64, dashConn]{})
	h := dashNew(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
	const many = 20_000
	for i := range int64(many) {
		dashRegister(t, p, i, "127.0.0.1:1")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	page := dashGet[dashPage](t, h, "/api/sessions?sort=idle&limit=50")
	runtime.ReadMemStats(&after)
	require.Equal(t, many, page.Matching)
	require.Len(t, page.Sessions, 50)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(many*16), "not even a pointer for each session")
}

// dashGuarded is a pool whose addresses are looked up while a test watches.
func dashGuarded(t *testing.T, n int, address func(dashConn) string, c dashboard.Config) *dashboard.Handler {
	t.Helper()
	p := dashPool(t, pool.Config[int, dashConn]{})
	for i := range n {
		dashRegister(t, p, i, "")
	}
	c.Source = dashboard.Pool(p, nil, address)
	return dashNew(t, c)
}

func TestSearchesRunOneAtATimeAndFewWait(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		var inside, most atomic.Int32
		turn := make(chan struct{})
		h := dashGuarded(t, 1, func(dashConn) string {
			most.Store(max(most.Load(), inside.Add(1)))
			<-turn
			inside.Add(-1)
			return "a"
		}, dashboard.Config{MaxPages: 3})
		codes := make(chan int, 4)
		for range 4 {
			go func() { codes <- dashDo(h, http.MethodGet, "/api/sessions?q=a").Code }() // waited for below
			synctest.Wait()
		}
		refused := dashDo(h, http.MethodGet, "/api/sessions")
		dashError(t, refused, http.StatusTooManyRequests)
		require.NotEmpty(t, refused.Header().Get("Retry-After"))
		for range 4 {
			turn <- struct{}{}
			require.Equal(t, http.StatusOK, <-codes)
		}
		require.EqualValues(t, 1, most.Load())
		close(turn)
		require.Equal(t, http.StatusOK, dashDo(h, http.MethodGet, "/api/sessions").Code)
	})
}

func TestASearchIsFollowedByAPauseOfItsOwnLength(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		h := dashGuarded(t, 100, func(dashConn) string { time.Sleep(time.Millisecond); return "" }, dashboard.Config{})
		began := time.Now()
		for i := range 5 {
			dashGet[dashPage](t, h, "/api/sessions?q=a")
			require.Equal(t, time.Duration(200*i+100)*time.Millisecond, time.Since(began))
		}
	})
}

func TestASearchEndsWhenNobodyWaitsForIt(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		gone := func(r *http.Request) { *r = *r.WithContext(ctx) }
		var looked atomic.Int32
		block := make(chan struct{})
		h := dashGuarded(t, 5000, func(dashConn) string {
			if looked.Add(1) == 1 {
				<-block
			}
			return ""
		}, dashboard.Config{MaxPages: 1})
		done := make(chan struct{}, 2)
		for range 2 {
			go func() { dashDo(h, http.MethodGet, "/api/sessions?q=a", gone); done <- struct{}{} }() // waited for below
			synctest.Wait()
		}
		dashError(t, dashDo(h, http.MethodGet, "/api/sessions"), http.StatusTooManyRequests)
		cancel()
		<-done // the one that waited
		close(block)
		<-done // the one that ran
		require.LessOrEqual(t, looked.Load(), int32(1024))
		require.Equal(t, 5000, dashGet[dashPage](t, h, "/api/sessions").Total)
	})
}

// dashBlocked is a connection whose address takes long to tell.
type dashBlocked struct {
	net.Conn
	block <-chan struct{}
	on    atomic.Bool
}

func (c *dashBlocked) RemoteAddr() net.Addr {
	if c.on.Load() {
		<-c.block
	}
	return c.Conn.RemoteAddr()
}

func TestASessionIsClosedByItsIDWithoutAWalk(t *testing.T) {
	block := make(chan struct{})
	slow := func(dashConn) string { <-block; return "" }
	poolBubble(t, func(t *testing.T) {
		block = make(chan struct{})
		numbers := dashPool(t, pool.Config[uint16, dashConn]{})
		texts := dashPool(t, pool.Config[string, dashConn]{})
		named := dashPool(t, pool.Config[int, dashConn]{})
		for i := range 3 {
			dashRegister(t, numbers, uint16(i), "")
			dashRegister(t, texts, fmt.Sprint("a ", i), "")
			dashRegister(t, named, i, "")
		}
		srv := new(tcp.Server)
		l := &tcpPipes{make(chan net.Conn), make(chan struct{})}
		tcpServe(t, srv, l)
		conns := make([]*dashBlocked, 3)
		for i := range conns {
			mine, theirs := net.Pipe()
			t.Cleanup(func() { _ = mine.Close() })
			conns[i] = &dashBlocked{Conn: theirs, block: block}
			l.conns <- conns[i]
		}
		synctest.Wait()
		for _, c := range conns {
			c.on.Store(true)
		}
		name := func(i int) string { return fmt.Sprint("#", i) }
		for _, tt := range []struct {
			name   string
			source dashboard.Source
			ids    []string
			walks  bool
		}{
			{"a TCP server", dashboard.Server(srv), []string{"1", "4"}, false},
			{"numbers", dashboard.Pool(numbers, nil, slow), []string{"1", "70000"}, false},
			{"texts", dashboard.Pool(texts, nil, slow), []string{"a 1", "b"}, false},
			{"names of the user's", dashboard.Pool(named, name, slow), []string{"#1", "#9"}, true},
		} {
			h := dashNew(t, dashboard.Config{Source: tt.source, Authorize: dashAllow})
			searched := make(chan int, 1)
			go func() { searched <- dashDo(h, http.MethodGet, "/api/sessions?q=a").Code }() // waited for below
			synctest.Wait()
			codes := make(chan int, 2)
			go func() { // waited for below
				for _, id := range tt.ids {
					codes <- dashDo(h, http.MethodDelete, "/api/sessions/"+url.PathEscape(id)).Code
				}
			}()
			synctest.Wait()
			require.Equal(t, !tt.walks, len(codes) == 2, tt.name)
			for searching := true; searching; {
				select {
				case block <- struct{}{}:
				case code := <-searched:
					require.Equal(t, http.StatusOK, code)
					searching = false
				}
			}
			require.Equal(t, http.StatusOK, <-codes, tt.name)
			require.Equal(t, http.StatusNotFound, <-codes, tt.name)
		}
	})
}
