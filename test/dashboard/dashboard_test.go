package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
)

// addrConn is a connection with an address.
type addrConn string

func (addrConn) Close() error { return nil }

func (c addrConn) RemoteAddr() net.Addr { return textAddr(c) }

type textAddr string

func (textAddr) Network() string { return "tcp" }

func (a textAddr) String() string { return string(a) }

// newPool makes a pool that is shut down when the test ends.
func newPool[K comparable](t testing.TB, c pool.Config[K, addrConn]) *pool.Pool[K, addrConn] {
	t.Helper()
	p, err := pool.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p
}

func register[K comparable](t testing.TB, p *pool.Pool[K, addrConn], id K, addr string) *pool.Session[K, addrConn] {
	t.Helper()
	s, err := p.Register(id, addrConn(addr))
	require.NoError(t, err)
	return s
}

// newHandler makes a dashboard that is closed when the test ends.
func newHandler(t testing.TB, c dashboard.Config) *dashboard.Handler {
	t.Helper()
	h, err := dashboard.New(c)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

// request makes a request as the page would.
func request(h http.Handler, method, path string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("X-Sessionwheel-Request", "1")
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func getJSON[T any](t testing.TB, h http.Handler, path string) (answer T) {
	t.Helper()
	w := request(h, http.MethodGet, path)
	require.Equal(t, http.StatusOK, w.Code, "%s: %s", path, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer
}

// errorText returns the text of an answer that must be an error.
func errorText(t testing.TB, w *httptest.ResponseRecorder, status int) string {
	t.Helper()
	require.Equal(t, status, w.Code, "%s", w.Body)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var answer struct{ Error string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	require.NotEmpty(t, answer.Error)
	return answer.Error
}

// closePath returns the path to close the session of a pool or a server that has the
// given ID, formatted, and was registered at that time.
func closePath(id string, registered time.Time) string {
	return fmt.Sprintf("/api/sessions/x%x?generation=%d", id, registered.UnixNano())
}

// path returns the path to close a session in the list.
func (s sessionAnswer) path() string {
	return "/api/sessions/" + *s.Key + "?generation=" + s.Generation
}

// alone fails a test if what is between its enter and its leave runs twice at a time.
type alone struct {
	t      *testing.T
	inside atomic.Int32
}

func (a *alone) enter() {
	if n := a.inside.Add(1); n != 1 {
		a.t.Errorf("%d at a time", n)
	}
}

func (a *alone) leave() { a.inside.Add(-1) }

func allowAll(*http.Request) error { return nil }

type (
	statsAnswer struct {
		Time     time.Time
		Uptime   float64 `json:"uptime_seconds"`
		Interval float64 `json:"interval_seconds"`
		Title    string
		Closable bool
		Sessions struct {
			Open, Registered, Closed int
			Refused                  struct {
				Duplicate, Full, Closed int
				PerIP                   int `json:"per_ip"`
			}
			ClosedByReason map[string]int `json:"closed_by_reason"`
		}
		Traffic *struct {
			BytesIn  int `json:"bytes_in"`
			BytesOut int `json:"bytes_out"`
			FramesIn int `json:"frames_in"`

			Outbound, Dropped, Slow, Probes int
		}
		Wheel *wheelAnswer
	}
	wheelAnswer struct {
		Tick           float64 `json:"tick_seconds"`
		Pending, Slots int
		Fired, Moved   uint64
		Now            float64 `json:"now_seconds"`
		Lateness       struct {
			Count   uint64
			Sum     float64 `json:"sum_seconds"`
			P50     float64 `json:"p50_seconds"`
			P99     float64 `json:"p99_seconds"`
			Buckets []struct {
				AtMost *float64 `json:"le_seconds"`
				Count  uint64
			}
		}
		Levels []struct {
			Level int
			Slot  float64 `json:"slot_seconds"`
			Slots []slotAnswer
		}
	}
	slotAnswer struct {
		Index  int
		Up     float64 `json:"up_seconds"`
		Timers int
	}
	sessionAnswer struct {
		ID, Address string
		Exact       bool
		Key         *string
		Generation  string
		Age         float64  `json:"age_seconds"`
		Idle        float64  `json:"idle_seconds"`
		Remaining   *float64 `json:"remaining_seconds"`
	}
	pageAnswer struct {
		Total, Matching, Offset, Limit int
		Sessions                       []sessionAnswer
	}
)
