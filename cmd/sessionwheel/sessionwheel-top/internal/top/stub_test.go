package top

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
)

// patience is for what must happen, however busy the machine is.
const patience = 60 * time.Second

// statsAnswer is an answer of api/stats with something in every field.
const statsAnswer = `{"time":"2026-01-02T15:04:05.123Z","uptime_seconds":3725,"interval_seconds":1,"title":"a server","closable":true,
 "sessions":{"open":1234,"registered":50000,"closed":48766,"refused":{"duplicate":1,"unclaimed":5,"full":2,"closed":3,"per_ip":4},
  "closed_by_reason":{"EOF":8000,"Timeout":40000,"Error":766}},
 "traffic":{"bytes_in":1500000,"bytes_out":999,"frames_in":12000,"frames_out":11000,"outbound":4096,"dropped":8,"slow":9,"accept_errors":5,"probes":10},
 "wheel":{"tick_seconds":0.01,"pending":1234,"slots":3,"fired":40000,"moved":7,"running":2,"waiting":1,"rescued":6,"library_disabled":false,"now_seconds":100,
  "lateness":{"count":40000,"sum_seconds":200,"p50_seconds":0.0051,"p99_seconds":0.0102,"buckets":[{"le_seconds":0.0051,"count":39000},{"le_seconds":0.0102,"count":999},{"le_seconds":null,"count":1}]},
  "levels":[{"level":0,"slot_seconds":0.01,"slots":[{"index":3,"up_seconds":100.005,"timers":12},{"index":5,"up_seconds":100.325,"timers":22}]},
   {"level":2,"slot_seconds":40.96,"slots":[{"index":0,"up_seconds":200,"timers":1200}]}]}}`

// sessionsAnswer is an answer of api/sessions.
const sessionsAnswer = `{"total":1234,"matching":100,"offset":0,"limit":2,"sessions":[
 {"id":"12","address":"127.0.0.1:50000","label":"ali\u0007ce","age_seconds":3600,"idle_seconds":61.25,"remaining_seconds":4.2},
 {"id":"7","address":"[::1]:50001","age_seconds":0.25,"idle_seconds":0.002,"remaining_seconds":null}]}`

// closedAnswer is an answer of api/closed.
const closedAnswer = `{"sessions":[
 {"id":"31","address":"127.0.0.1:50031","reason":"Timeout","ago_seconds":1.5,"late_seconds":0.0031},
 {"id":"30","address":"","reason":"EOF","ago_seconds":75,"late_seconds":null},
 {"id":"29","address":"[::1]:50029","reason":"","ago_seconds":3700,"late_seconds":null}]}`

// stub is a dashboard whose answers a test sets.
type stub struct {
	*httptest.Server

	mu sync.Mutex
	// Guarded by mu.
	stats, sessions, closed http.HandlerFunc
	asked                   []url.Values // the queries for sessions
}

// answer is a handler that gives one answer.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func newStub(t *testing.T) *stub {
	s := &stub{stats: answer(200, statsAnswer), sessions: answer(200, sessionsAnswer), closed: answer(200, closedAnswer)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /at/api/stats", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		h := s.stats
		s.mu.Unlock()
		h(w, r)
	})
	mux.HandleFunc("GET /at/api/sessions", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		h := s.sessions
		s.asked = append(s.asked, r.URL.Query())
		s.mu.Unlock()
		h(w, r)
	})
	mux.HandleFunc("GET /at/api/closed", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		h := s.closed
		s.mu.Unlock()
		h(w, r)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// set changes the answers; nil leaves one as it is.
func (s *stub) set(stats, sessions http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stats != nil {
		s.stats = stats
	}
	if sessions != nil {
		s.sessions = sessions
	}
}

// setClosed changes the answer of api/closed.
func (s *stub) setClosed(closed http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = closed
}

// queries are those for sessions so far.
func (s *stub) queries() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]url.Values(nil), s.asked...)
}

// where is the dashboard's URL.
func (s *stub) where(t *testing.T) *url.URL {
	u, err := flags.DashboardURL(s.URL + "/at")
	require.NoError(t, err)
	return u
}

// parsed is an answer of api/stats as parsed.
func parsed(t *testing.T, body string) *stats {
	t.Helper()
	s, err := parseStats([]byte(body))
	require.NoError(t, err)
	return s
}

// shown is a model of a terminal of the given size that has taken both answers.
func shown(t *testing.T, width, height int, statsBody, sessionsBody string) *model {
	t.Helper()
	u, err := flags.DashboardURL("8080")
	require.NoError(t, err)
	q := Config{}.query()
	q.limit = height
	m := newModel(newFeed(newServer(u, ""), time.Second, q), blocks)
	m.width, m.height = width, height
	page, err := parseSessions([]byte(sessionsBody), maxLimit)
	require.NoError(t, err)
	m.took(sample{at: time.Now(), stats: parsed(t, statsBody), sessions: page, asked: q})
	return m
}

// listen takes an address again that was given up a moment ago.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			return ln
		}
		require.True(t, time.Now().Before(deadline), "%v", err)
	}
}
