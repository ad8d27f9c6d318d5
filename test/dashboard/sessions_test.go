package dashboard_test

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
	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// registerMany registers n sessions that differ in everything that can be sorted
// by, with many that are equal in part.
func registerMany(t testing.TB, p *pool.Pool[int64, addrConn], n int) []*pool.Session[int64, addrConn] {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]*pool.Session[int64, addrConn], 0, n)
	for i := range n {
		id := int64(i)
		if i%3 == 0 {
			id = int64(random.Uint64()>>1) - 1<<20
		}
		addr := fmt.Sprintf("10.0.%d.%d:%d", random.IntN(3), random.IntN(20), 1000+random.IntN(100))
		all = append(all, register(t, p, id, addr))
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

// modelPage returns the right page, by sorting all sessions.
func modelPage(all []*pool.Session[int64, addrConn], q string, idle time.Duration, sort, order string, offset, limit int) pageAnswer {
	page := pageAnswer{Total: len(all), Offset: offset, Limit: limit, Sessions: []sessionAnswer{}}
	now := time.Now()
	for _, s := range all {
		row := sessionAnswer{
			ID: strconv.FormatInt(s.ID(), 10), Address: string(s.Conn()), Exact: true,
			Generation: strconv.FormatInt(s.RegisteredAt().UnixNano(), 10),
			Age:        now.Sub(s.RegisteredAt()).Seconds(), Idle: now.Sub(s.LastActive()).Seconds(),
		}
		key := fmt.Sprintf("x%x", row.ID)
		row.Key = &key
		if at, ok := s.Deadline(); ok {
			left := at.Sub(now).Seconds()
			row.Remaining = &left
		}
		if now.Sub(s.LastActive()) >= idle && (q == row.ID || strings.Contains(row.Address, q)) {
			page.Sessions = append(page.Sessions, row)
		}
	}
	page.Matching = len(page.Sessions)
	left := func(s sessionAnswer) float64 {
		if s.Remaining == nil {
			return math.Inf(1)
		}
		return *s.Remaining
	}
	byID := func(a, b sessionAnswer) int { // negative ones are texts
		x, _ := strconv.ParseUint(a.ID, 10, 64)
		y, _ := strconv.ParseUint(b.ID, 10, 64)
		negative := func(id string) int { return strings.Count(id, "-") }
		return cmp.Or(cmp.Compare(negative(a.ID), negative(b.ID)), cmp.Compare(x, y), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(page.Sessions, func(a, b sessionAnswer) int {
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

func TestSearch_GivesAPageOfWhatSortingAllWouldGive(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, pool.Config[int64, addrConn]{IdleTimeout: 24 * time.Hour})
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
		all := registerMany(t, p, 60)
		some := strconv.FormatInt(all[30].ID(), 10)
		idle := time.Since(all[40].LastActive()) // exactly that long
		for _, sort := range []string{"id", "address", "idle", "remaining", "age"} {
			for _, order := range []string{"asc", "desc"} {
				for _, q := range []string{"", "10.0.1.", ":10", some, some[:12], "nobody"} {
					for _, idle := range []time.Duration{0, idle} {
						for _, offset := range []int{0, 7, 59, 60, 10_000} {
							for _, limit := range []int{1, 7, 500} {
								query := url.Values{
									"q": {q}, "idle": {idle.String()}, "sort": {sort}, "order": {order},
									"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)},
								}.Encode()
								got := getJSON[pageAnswer](t, h, "/api/sessions?"+query)
								require.Equal(t, modelPage(all, q, idle, sort, order, offset, limit), got, query)
							}
						}
					}
				}
			}
		}
		want := modelPage(all, "", 0, "id", "asc", 0, 50)
		require.Equal(t, want, getJSON[pageAnswer](t, h, "/api/sessions"))
		require.Equal(t, want, getJSON[pageAnswer](t, h, "/api/sessions?q=&idle=&sort=&order=&offset=&limit="))
		found := getJSON[pageAnswer](t, h, "/api/sessions?q="+some)
		require.Equal(t, 1, found.Matching)
		require.Equal(t, some, found.Sessions[0].ID)
	})
}

func TestSearch_RemainingTimeFallsUntilTheSessionEnds(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, pool.Config[string, addrConn]{IdleTimeout: 10 * time.Second})
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
		register(t, p, "a", "")
		register(t, p, "held", "").Hold()
		for i := range 10 {
			page := getJSON[pageAnswer](t, h, "/api/sessions")
			require.InDelta(t, 10-i, *page.Sessions[0].Remaining, 1e-9)
			require.InDelta(t, i, page.Sessions[0].Idle, 1e-9)
			require.Nil(t, page.Sessions[1].Remaining)
			time.Sleep(time.Second)
		}
		time.Sleep(harness.Tick)
		synctest.Wait()
		require.Equal(t, 1, getJSON[pageAnswer](t, h, "/api/sessions").Total)
	})
}

func TestDelete_TakesOneNameForASession(t *testing.T) {
	numbers := newPool(t, pool.Config[int, addrConn]{})
	flags := newPool(t, pool.Config[bool, addrConn]{})
	number, flag := register(t, numbers, -7, "").RegisteredAt(), register(t, flags, true, "").RegisteredAt()
	for _, tt := range []struct {
		source  dashboard.Source
		name    string
		at      time.Time
		strange []string
	}{
		{dashboard.Pool(numbers, nil, nil), "-7", number, []string{"-07", "7", "+7", "", "x"}},
		{dashboard.Pool(flags, nil, nil), "true", flag, []string{"1", "t", "false", ""}},
	} {
		h := newHandler(t, dashboard.Config{Source: tt.source, Authorize: allowAll})
		for _, name := range tt.strange {
			errorText(t, request(h, http.MethodDelete, closePath(name, tt.at)), http.StatusNotFound)
		}
		require.Equal(t, http.StatusOK, request(h, http.MethodDelete, closePath(tt.name, tt.at)).Code)
	}
}

func TestDelete_ThatComesTooLateIsNotFound(t *testing.T) {
	p := newPool(t, pool.Config[int, addrConn]{})
	s := register(t, p, 1, "")
	name := func(int) string { s.Close("Earlier"); return "a" } // after it was found and before it is closed
	h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, name, nil), Authorize: allowAll})
	errorText(t, request(h, http.MethodDelete, closePath("a", s.RegisteredAt())), http.StatusNotFound)
	require.Equal(t, pool.Reason("Earlier"), s.Reason())
}

func TestSearch_NamesAWrongParameterAndSaysWhatToUse(t *testing.T) {
	h := newHandler(t, dashboard.Config{Source: idleSource()})
	for query, want := range map[string][]string{
		"limit=0":                         {"limit", "1 to 500"},
		"limit=501":                       {"limit", "1 to 500"},
		"limit=x":                         {"limit", "1 to 500"},
		"offset=-1":                       {"offset", "0 to"},
		"offset=10001":                    {"offset", "0 to 10000", "narrow the search"},
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
		text := errorText(t, request(h, http.MethodGet, "/api/sessions?"+query), http.StatusBadRequest)
		for _, part := range want {
			require.Contains(t, text, part)
		}
		require.Less(t, len(text), 300)
	}
	getJSON[pageAnswer](t, h, "/api/sessions?q="+strings.Repeat("x", 256))
}

func TestSearch_KeepsNoMoreSessionsThanItShows(t *testing.T) {
	p := newPool(t, pool.Config[int64, addrConn]{})
	h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
	const many = 20_000
	for i := range int64(many) {
		register(t, p, i, "127.0.0.1:1")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	page := getJSON[pageAnswer](t, h, "/api/sessions?sort=idle&limit=50")
	runtime.ReadMemStats(&after)
	require.Equal(t, many, page.Matching)
	require.Len(t, page.Sessions, 50)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(many*16), "not even a pointer for each session")
}

// guardedHandler returns a dashboard of a pool whose addresses come from a function
// of the test.
func guardedHandler(t *testing.T, n int, address func(addrConn) string, c dashboard.Config) *dashboard.Handler {
	t.Helper()
	p := newPool(t, pool.Config[int, addrConn]{})
	for i := range n {
		register(t, p, i, "")
	}
	c.Source = dashboard.Pool(p, nil, address)
	return newHandler(t, c)
}

func TestSearch_RunsOneAtATimeAndFewWait(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		alone := &alone{t: t}
		turn := make(chan struct{})
		h := guardedHandler(t, 1, func(addrConn) string {
			alone.enter()
			<-turn
			alone.leave()
			return "a"
		}, dashboard.Config{MaxPages: 3})
		codes := make(chan int, 4)
		for range 4 {
			go func() { codes <- request(h, http.MethodGet, "/api/sessions?q=a").Code }() // waited for below
			synctest.Wait()
		}
		refused := request(h, http.MethodGet, "/api/sessions")
		errorText(t, refused, http.StatusTooManyRequests)
		require.NotEmpty(t, refused.Header().Get("Retry-After"))
		for range 4 {
			turn <- struct{}{}
			require.Equal(t, http.StatusOK, <-codes)
		}
		close(turn)
		require.Equal(t, http.StatusOK, request(h, http.MethodGet, "/api/sessions").Code)
	})
}

func TestSearch_IsFollowedByAPauseOfItsOwnLength(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		h := guardedHandler(t, 100, func(addrConn) string { time.Sleep(time.Millisecond); return "" }, dashboard.Config{})
		began := time.Now()
		for i := range 5 {
			getJSON[pageAnswer](t, h, "/api/sessions?q=a")
			require.Equal(t, time.Duration(200*i+100)*time.Millisecond, time.Since(began))
		}
	})
}

func TestSearch_EndsWhenItsClientHasGone(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		gone := func(r *http.Request) { *r = *r.WithContext(ctx) }
		var looked atomic.Int32
		block := make(chan struct{})
		h := guardedHandler(t, 5000, func(addrConn) string {
			if looked.Add(1) == 1 {
				<-block
			}
			return ""
		}, dashboard.Config{MaxPages: 1})
		done := make(chan int, 2)
		for range 2 {
			go func() { done <- request(h, http.MethodGet, "/api/sessions?q=a", gone).Code }() // waited for below
			synctest.Wait()
		}
		errorText(t, request(h, http.MethodGet, "/api/sessions"), http.StatusTooManyRequests)
		cancel()
		require.Equal(t, http.StatusServiceUnavailable, <-done, "the one that waited")
		close(block)
		require.Equal(t, http.StatusServiceUnavailable, <-done, "the one that ran")
		require.LessOrEqual(t, looked.Load(), int32(1024))
		require.Equal(t, 5000, getJSON[pageAnswer](t, h, "/api/sessions").Total)
	})
}

// blockedConn is a connection whose RemoteAddr blocks.
type blockedConn struct {
	net.Conn
	block <-chan struct{}
	on    atomic.Bool
}

func (c *blockedConn) RemoteAddr() net.Addr {
	if c.on.Load() {
		<-c.block
	}
	return c.Conn.RemoteAddr()
}

// Close is called before the pool asks for the address once more.
func (c *blockedConn) Close() error {
	c.on.Store(false)
	return c.Conn.Close()
}

func TestDelete_FindsASessionByItsIDWithoutAWalk(t *testing.T) {
	block := make(chan struct{})
	slow := func(addrConn) string { <-block; return "" }
	harness.Bubble(t, func(t *testing.T) {
		block = make(chan struct{})
		numbers := newPool(t, pool.Config[uint16, addrConn]{})
		texts := newPool(t, pool.Config[string, addrConn]{})
		named := newPool(t, pool.Config[int, addrConn]{})
		at := time.Now() // of all
		for i := range 3 {
			register(t, numbers, uint16(i), "")
			register(t, texts, fmt.Sprint("a ", i), "")
			register(t, named, i, "")
		}
		srv := new(tcp.Server)
		l := pipes.New()
		harness.ServeTCP(t, srv, l)
		conns := make([]*blockedConn, 3)
		for i := range conns {
			mine, theirs := net.Pipe()
			t.Cleanup(func() { _ = mine.Close() })
			conns[i] = &blockedConn{Conn: theirs, block: block}
			l.Conns <- conns[i]
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
			h := newHandler(t, dashboard.Config{Source: tt.source, Authorize: allowAll})
			searched := make(chan int, 1)
			go func() { searched <- request(h, http.MethodGet, "/api/sessions?q=a").Code }() // waited for below
			synctest.Wait()
			codes := make(chan int, 2)
			go func() { // waited for below
				for _, id := range tt.ids {
					codes <- request(h, http.MethodDelete, closePath(id, at)).Code
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

func TestDelete_ThatIsCutShortSaysSoAndClosesNothing(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, pool.Config[int, addrConn]{})
		last := register(t, p, 0, "")
		for i := range 5000 {
			last = register(t, p, i+1, "")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var looked int
		name := func(id int) string {
			if looked++; looked == 100 {
				cancel()
			}
			return fmt.Sprint("#", id)
		}
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, name, nil), Authorize: allowAll})
		for range 2 { // one in its walk, and one that waits
			w := request(h, http.MethodDelete, closePath("#none", last.RegisteredAt()), func(r *http.Request) { *r = *r.WithContext(ctx) })
			require.Contains(t, errorText(t, w, http.StatusServiceUnavailable), "cut short")
			require.NotEmpty(t, w.Header().Get("Retry-After"))
		}
		require.Equal(t, 5001, p.Len())
	})
}

func TestSearch_FormatsItsPageBeforeTheNextBegins(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		alone := &alone{t: t}
		h := guardedHandler(t, 3, func(addrConn) string { // called for the page only, as no search looks at it
			alone.enter()
			time.Sleep(time.Second)
			alone.leave()
			return "a"
		}, dashboard.Config{})
		codes := make(chan int, 4)
		began := time.Now()
		for i := range 4 {
			go func() { codes <- request(h, http.MethodGet, fmt.Sprint("/api/sessions?limit=", 10+i)).Code }() // waited for below
		}
		for range 4 {
			require.Equal(t, http.StatusOK, <-codes)
		}
		require.Equal(t, 21*time.Second, time.Since(began), "each is followed by a pause of its own length")
	})
}

func TestSearch_ThatManyAskForAtTheSameTimeIsMadeOnce(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var walks atomic.Int32
		h := guardedHandler(t, 10, func(addrConn) string { walks.Add(1); time.Sleep(100 * time.Millisecond); return "a" }, dashboard.Config{})
		codes := make(chan int, 41)
		get := func(path string) { // waited for below
			go func() { codes <- request(h, http.MethodGet, path).Code }()
			time.Sleep(time.Millisecond)
		}
		get("/api/sessions?q=a&limit=10") // a second, and a second's pause
		for range 20 {
			get("/api/sessions?q=a&limit=5")
			get("/api/sessions?q=a&limit=10")
		}
		began := time.Now()
		for range 41 {
			require.Equal(t, http.StatusOK, <-codes)
		}
		require.EqualValues(t, 30, walks.Load(), "the first had begun before the others were asked for")
		require.InDelta(t, 6, time.Since(began).Seconds(), 0.1)
	})
}

func TestReadings_AreTakenOneAtATime(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		alone := &alone{t: t}
		p := newPool(t, pool.Config[int, addrConn]{})
		slow := func() {
			alone.enter()
			time.Sleep(time.Second)
			alone.leave()
		}
		h := newHandler(t, dashboard.Config{
			Source:   dashboard.Pool(p, func(int) string { slow(); return "a" }, nil),
			Cluster:  slowNodes{newFakeCluster(), slow},
			MaxPages: 2,
		})
		register(t, p, 1, "").Close("Kicked")
		for _, path := range []string{"/api/closed", "/api/cluster"} {
			codes := make(chan int, 9)
			for range 9 {
				go func() { codes <- request(h, http.MethodGet, path).Code }() // waited for below
			}
			counts := make(map[int]int)
			for range 9 {
				counts[<-codes]++
			}
			require.Equal(t, map[int]int{http.StatusOK: 3, http.StatusTooManyRequests: 6}, counts, path)
		}
	})
}

// slowNodes is a cluster that needs time to list its nodes.
type slowNodes struct {
	*fakeCluster
	before func()
}

func (c slowNodes) Nodes() []dashboard.ClusterNode { c.before(); return c.fakeCluster.Nodes() }
