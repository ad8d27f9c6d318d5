package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// apiCase is a request and the expected answer.
type apiCase struct {
	method, path, query string // path as the description has it
	key                 string
	changes             []func(*http.Request)
	from                http.Handler
	want                int
}

func (c apiCase) do() *httptest.ResponseRecorder {
	target := strings.Replace(c.path, "{key}", c.key, 1)
	if c.query != "" {
		target += "?" + c.query
	}
	return request(c.from, c.method, target, c.changes...)
}

// apiHold compares an answer with the description of its operation.
func apiHold(t *testing.T, d *apiDescription, method, path string, status int, header http.Header, body []byte) {
	t.Helper()
	what := fmt.Sprintf("%s %s answered %d", method, path, status)
	op := d.Paths[path][strings.ToLower(strings.Replace(method, http.MethodHead, http.MethodGet, 1))]
	if status == http.StatusMethodNotAllowed { // it is no operation, and each of the path's describes it
		for _, op = range d.Paths[path] {
		}
	}
	require.NotNil(t, op, what)
	described := op.Responses[strconv.Itoa(status)]
	require.NotNil(t, described, "%s, which is not described", what)
	for name := range described.Headers {
		require.NotEmpty(t, header.Get(name), "%s without %s", what, name)
	}
	mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	content, ok := described.Content[mediaType]
	require.True(t, ok, "%s with %s", what, mediaType)
	require.Len(t, described.Content, 1)
	if mediaType != "application/json" || method == http.MethodHead {
		return
	}
	var v any
	require.NoError(t, json.Unmarshal(body, &v), what)
	require.Empty(t, d.check(what, v, content.Schema))
}

func TestOpenAPI_IsWhatIsServed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		full := apiServer(t)
		p := newPool(t, pool.Config[int, addrConn]{})
		for i := range 9 {
			register(t, p, i, "").SetIdleTimeout(-1)
		}
		block := make(chan struct{})
		name := func(i int) string { return fmt.Sprint("#", i) }
		over, stop := context.WithCancel(t.Context())
		stop()
		ended := []func(*http.Request){func(r *http.Request) { *r = *r.WithContext(over) }}
		busy := newHandler(t, dashboard.Config{
			Source: dashboard.Pool(p, name, func(addrConn) string { <-block; return "" }), Authorize: allowAll, MaxPages: 1,
			Cluster: slowNodes{newFakeCluster(), func() { <-block }},
		})
		plain := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, name, nil)})
		away := newHandler(t, dashboard.Config{Source: idleSource(), Authorize: allowAll, MaxPages: 1, Cluster: &fakeCluster{
			ask:  func(context.Context) error { return errors.New("nobody answers") },
			list: func(context.Context, func(dashboard.ClusterSession) bool) error { <-block; return nil },
		}})
		gone := newPool(t, pool.Config[int, addrConn]{})
		register(t, gone, 1, "").Close("Kicked")
		late := newHandler(t, dashboard.Config{
			Source: dashboard.Pool(gone, func(int) string { <-block; return "" }, nil), MaxPages: 1,
		})
		var searches sync.WaitGroup
		defer searches.Wait()
		defer close(block)
		for range 2 { // one that runs and one that waits
			searches.Go(func() { request(busy, http.MethodGet, "/api/sessions?q=a") })
			searches.Go(func() { request(away, http.MethodGet, "/api/cluster/sessions") })
			searches.Go(func() { request(busy, http.MethodGet, "/api/cluster") })
			searches.Go(func() { request(late, http.MethodGet, "/api/closed") })
			synctest.Wait()
		}

		generation := getJSON[pageAnswer](t, full, "/api/sessions").Sessions[0].Generation
		d := apiParse(t, request(full, http.MethodGet, "/api/openapi.json").Body.Bytes())
		require.Equal(t, "3.1.0", d.OpenAPI)
		otherSite := []func(*http.Request){withHeader("Sec-Fetch-Site", "cross-site")}
		elsewhere := []func(*http.Request){func(r *http.Request) { r.Host = "evil.example" }}
		const stats, events, sessions, one, self = "/api/stats", "/api/events", "/api/sessions", "/api/sessions/{key}", "/api/openapi.json"
		const nodes, found, kick = "/api/cluster", "/api/cluster/sessions", "/api/cluster/sessions/{key}"
		cases := []apiCase{
			{method: "GET", path: stats, from: full, want: 200},
			{method: "GET", path: stats, from: plain, want: 200},
			{method: "GET", path: sessions, from: full, want: 200},
			{method: "GET", path: sessions, from: plain, want: 200},
			{method: "GET", path: sessions, query: "limit=0", from: full, want: 400},
			{method: "GET", path: sessions, from: busy, want: 429},
			{method: "DELETE", path: one, key: "x31", query: "generation=" + generation, from: full, want: 200},
			{method: "DELETE", path: one, key: "x31", query: "generation=" + generation + "&reason=%00", from: full, want: 400},
			{method: "DELETE", path: one, key: "x31", query: "generation=" + generation, from: plain, want: 403},
			{method: "DELETE", path: one, key: "x31", query: "generation=" + generation, from: full, want: 404},
			{method: "DELETE", path: one, key: "x78", query: "generation=" + generation, from: busy, want: 429},
			{method: "GET", path: nodes, from: full, want: 200},
			{method: "GET", path: nodes, from: plain, want: 404},
			{method: "GET", path: found, query: "q=ann", from: full, want: 200},
			{method: "GET", path: found, query: "q=10", from: full, want: 200},
			{method: "GET", path: found, query: "limit=0", from: full, want: 400},
			{method: "GET", path: found, from: plain, want: 404},
			{method: "GET", path: found, from: away, want: 429},
			{method: "GET", path: found, query: "q=ann", from: away, want: 503},
			{method: "DELETE", path: kick, key: "x616e6e", query: "generation=3", from: full, want: 200},
			{method: "DELETE", path: kick, key: "x616e6e", query: "generation=3&reason=%00", from: full, want: 400},
			{method: "DELETE", path: kick, key: "x6e6f626f6479", query: "generation=3", from: full, want: 404},
			{method: "DELETE", path: kick, key: "x616e6e", query: "generation=3", from: plain, want: 404},
			{method: "DELETE", path: kick, key: "x616e6e", query: "generation=3", from: away, want: 503},
			{method: "GET", path: "/api/history", from: full, want: 200},
			{method: "GET", path: "/api/closed", from: full, want: 200},
			{method: "GET", path: "/api/history", from: late, want: 429},
			{method: "GET", path: "/api/closed", from: late, want: 429},
			{method: "GET", path: nodes, from: busy, want: 429},
			{method: "GET", path: "/api/history", changes: ended, from: full, want: 503},
			{method: "GET", path: "/api/closed", changes: ended, from: full, want: 503},
			{method: "GET", path: nodes, changes: ended, from: full, want: 503},
			{method: "GET", path: sessions, changes: ended, from: full, want: 503},
			{method: "DELETE", path: one, key: "x78", query: "generation=1", changes: ended, from: busy, want: 503},
			{method: "GET", path: self, from: full, want: 200},
			{method: "GET", path: events, from: full, want: 500},
		}
		for path, operations := range d.Paths {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
				described := operations[strings.ToLower(strings.Replace(method, "HEAD", "GET", 1))] != nil
				if !described {
					cases = append(cases, apiCase{method: method, path: path, from: full, want: 405})
					continue
				}
				cases = append(cases, apiCase{method: method, path: path, changes: elsewhere, from: full, want: 421},
					apiCase{method: method, path: path, changes: otherSite, from: full, want: 403})
			}
		}
		given := make(map[string]bool)
		for _, c := range cases {
			w := c.do()
			require.Equal(t, c.want, w.Code, "%s %s: %s", c.method, c.path, w.Body)
			apiHold(t, d, c.method, c.path, w.Code, w.Header(), w.Body.Bytes())
			for method := range d.Paths[c.path] {
				if c.method == strings.ToUpper(method) || c.want == 405 {
					given[fmt.Sprint(method, c.path, c.want)] = true
				}
			}
		}
		apiStreams(t, d, given)
		for path, operations := range d.Paths {
			for method, op := range operations {
				for status := range op.Responses {
					require.True(t, given[method+path+status], "nothing shows that %s %s answers %s", method, path, status)
				}
			}
		}
		require.Empty(t, d.unseen(), "described, and never given")
	})
}

// apiServer returns a dashboard of a server with traffic, a wheel with timers,
// sessions of which some are held, and a cluster.
func apiServer(t *testing.T) *dashboard.Handler {
	w := harness.NewWheel(t, wheel.Config{})
	srv := &tcp.Server{Wheel: w, OnMessage: harness.EchoLine}
	dial := harness.ListenPipes(t, srv)
	for range 3 {
		conn := dial()
		harness.Write(t, conn, "hello\n")
		harness.Read(t, conn, "hello\n")
	}
	synctest.Wait()
	for s := range srv.Sessions() {
		if s.ID() == 2 {
			s.Hold()
		}
		if s.ID() == 3 {
			s.Close("Rude")
		}
	}
	for i := range 20 {
		w.AfterFunc(time.Duration(i)*time.Second, func() {})
	}
	time.Sleep(2 * time.Second)
	return newHandler(t, dashboard.Config{Source: dashboard.Server(srv), Wheel: w, Authorize: allowAll, Cluster: newFakeCluster()})
}

// apiStreams compares event streams with their description.
func apiStreams(t *testing.T, d *apiDescription, given map[string]bool) {
	const path = "/api/events"
	site := serveSite(t, dashboard.Config{Source: idleSource(), MaxPages: 1})
	for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		answer := site.get(t, path)
		require.Equal(t, want, answer.StatusCode)
		var body []byte
		if want != http.StatusOK {
			var err error
			body, err = io.ReadAll(answer.Body)
			require.NoError(t, err)
		}
		apiHold(t, d, http.MethodGet, path, want, answer.Header, body)
		given[fmt.Sprint("get", path, want)] = true
	}
	site.handler.Close()
	st := serveSite(t, dashboard.Config{Source: idleSource()}).stream(t)
	_, data := st.next(t)
	var v any
	require.NoError(t, json.Unmarshal([]byte(data), &v))
	require.Empty(t, d.check("an event", v, d.Components.Schemas["Stats"]))
	require.NoError(t, st.answer.Body.Close())
}

func TestOpenAPI_HasTheParametersThatAreTaken(t *testing.T) {
	h, s := oneSession(t, dashboard.Config{Authorize: allowAll})
	d := apiParse(t, request(h, http.MethodGet, "/api/openapi.json").Body.Bytes())
	list := d.Paths["/api/sessions"]["get"]
	ask := func(name, value string) int {
		return request(h, http.MethodGet, "/api/sessions?"+url.Values{name: {value}}.Encode()).Code
	}
	var names []string
	for _, p := range list.Parameters {
		names = append(names, p.Name)
		require.Equal(t, "query", p.In)
		s := p.Schema
		switch {
		case s.Enum != nil:
			for _, value := range s.Enum {
				require.Equal(t, http.StatusOK, ask(p.Name, value), "%s=%s", p.Name, value)
			}
			other := request(h, http.MethodGet, "/api/sessions?"+p.Name+"=other")
			told := strings.NewReplacer(`"`, "", " or ", " ").Replace(errorText(t, other, http.StatusBadRequest))
			require.Contains(t, told, strings.Join(s.Enum, " "), "all of them are described")
			require.True(t, slices.Contains(s.Enum, s.Default.(string)))
		case s.Minimum != nil:
			for value, want := range map[float64]int{
				*s.Minimum: 200, *s.Minimum - 1: 400, *s.Maximum: 200, *s.Maximum + 1: 400, s.Default.(float64): 200, *s.Minimum + 0.5: 400,
			} {
				require.Equal(t, want, ask(p.Name, strconv.FormatFloat(value, 'f', -1, 64)), "%s=%v", p.Name, value)
			}
		case s.MaxLength != nil:
			require.Equal(t, http.StatusOK, ask(p.Name, strings.Repeat("x", *s.MaxLength)))
			require.Equal(t, http.StatusBadRequest, ask(p.Name, strings.Repeat("x", *s.MaxLength+1)))
		default:
			require.Equal(t, http.StatusOK, ask(p.Name, "90s"))
		}
	}
	require.Equal(t, []string{"q", "idle", "sort", "order", "offset", "limit"}, names)
	page := getJSON[map[string]any](t, h, "/api/sessions")
	for _, p := range list.Parameters {
		if p.Name == "limit" || p.Name == "offset" {
			require.Equal(t, p.Schema.Default, page[p.Name])
		}
	}

	closing := d.Paths["/api/sessions/{key}"]["delete"].Parameters
	require.Len(t, closing, 4)
	key, generation, reason, header := closing[0], closing[1], closing[2], closing[3]
	require.Equal(t, []any{"key", "path", true}, []any{key.Name, key.In, key.Required})
	require.Equal(t, []any{"generation", "query", true}, []any{generation.Name, generation.In, generation.Required})
	path := closePath("a", s.RegisteredAt())
	require.Equal(t, http.StatusNotFound, request(h, http.MethodDelete, closePath(strings.Repeat("x", *key.Schema.MaxLength/2), s.RegisteredAt())).Code)
	require.Equal(t, http.StatusBadRequest, request(h, http.MethodDelete, closePath(strings.Repeat("x", *key.Schema.MaxLength/2+1), s.RegisteredAt())).Code)
	require.Equal(t, http.StatusBadRequest, request(h, http.MethodDelete, "/api/sessions/x61").Code)
	require.Equal(t, []any{"reason", "query", false}, []any{reason.Name, reason.In, reason.Required})
	require.Equal(t, []any{"header", true}, []any{header.In, header.Required})
	long := strings.Repeat("x", *reason.Schema.MaxLength+1)
	require.Equal(t, http.StatusBadRequest, request(h, http.MethodDelete, path+"&reason="+long).Code)
	require.Equal(t, http.StatusForbidden, request(h, http.MethodDelete, path, withoutHeader(header.Name)).Code)
	require.Equal(t, http.StatusOK, request(h, http.MethodDelete, path, withHeader(header.Name, header.Schema.Enum[0])).Code)
	require.EqualValues(t, reason.Schema.Default, s.Reason())
}

func TestHandler_AnswersWhatIsNotThereWithJSON(t *testing.T) {
	h, _ := oneSession(t, dashboard.Config{})
	for _, path := range []string{"/nothing", "/api/", "/api", "/api/nothing", "/api/stats/", "/api/stats/x", "/assets/", "/../index.html", "/index.html/", "//"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			errorText(t, request(h, method, path), http.StatusNotFound)
		}
	}
	for path, allow := range map[string]string{"/": "GET, HEAD", "/index.html": "GET, HEAD", "/api/stats": "GET, HEAD", "/api/sessions/a": "DELETE"} {
		w := request(h, http.MethodPost, path)
		errorText(t, w, http.StatusMethodNotAllowed)
		require.Equal(t, allow, w.Header().Get("Allow"))
	}
}

func TestHandler_HEADGivesTheHeadersOfGET(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveSite(t, dashboard.Config{Source: idleSource(), MaxPages: 1})
		for _, path := range []string{"/", "/api/stats", "/api/sessions", "/api/openapi.json", "/api/events", "/nothing", "/api/sessions?limit=0", "/api/sessions/a"} {
			head, err := site.client.Head("http://127.0.0.1" + path)
			require.NoError(t, err)
			body, err := io.ReadAll(head.Body)
			require.NoError(t, err)
			require.Empty(t, body)
			require.NoError(t, head.Body.Close())
			get := site.get(t, path)
			require.Equal(t, get.StatusCode, head.StatusCode, path)
			for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "Etag", "Allow", "Content-Security-Policy"} {
				require.Equal(t, get.Header.Get(name), head.Header.Get(name), "%s %s", path, name)
			}
			require.NoError(t, get.Body.Close())
			synctest.Wait()
		}
	})
}

func TestPage_ConsistsOfWhatIsServed(t *testing.T) {
	h, _ := oneSession(t, dashboard.Config{})
	index := request(h, http.MethodGet, "/")
	require.Equal(t, "text/html; charset=utf-8", index.Header().Get("Content-Type"))
	tag := index.Header().Get("ETag")
	require.NotEmpty(t, tag)
	again := request(h, http.MethodGet, "/", withHeader("If-None-Match", tag))
	require.Equal(t, http.StatusNotModified, again.Code)
	require.Empty(t, again.Body.Bytes())
	files := 0
	for _, part := range strings.FieldsFunc(index.Body.String(), func(r rune) bool { return r == '"' }) {
		if strings.HasSuffix(part, ".js") || strings.HasSuffix(part, ".css") || strings.HasSuffix(part, ".svg") {
			require.False(t, strings.Contains(part, "//") || strings.HasPrefix(part, "/"), "%s is not beneath the mount point", part)
			require.Equal(t, http.StatusOK, request(h, http.MethodGet, "/"+strings.TrimPrefix(part, "./")).Code, part)
			files++
		}
	}
	require.NotZero(t, files)
}

func TestStream_DelaysNoShutdownOnceClosed(t *testing.T) {
	h := newHandler(t, dashboard.Config{Source: idleSource()})
	srv := httptest.NewUnstartedServer(h)
	srv.Config.RegisterOnShutdown(h.Close)
	srv.Start()
	defer srv.Close()
	answer, err := srv.Client().Get(srv.URL + "/api/events")
	require.NoError(t, err)
	defer answer.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	require.NoError(t, srv.Config.Shutdown(ctx))
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "event: stats\n")
}
