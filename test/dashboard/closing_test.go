package dashboard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// strangeIDs are IDs that a parser of URLs, JSON or a person may take for another.
var strangeIDs = []string{
	"", ".", "..", "/", "a/b", "a/../b", "%2e", "%2E", "a", "a ", " a", "A", "a?b=c#d", "+", "a+b", "a%20b", "a b", "x61", "\x00", "\r\n",
	"\xff", "\xfe", "\ufffd", "\u202euser", "é", "e\u0301", strings.Repeat("a", 1023) + "1", strings.Repeat("a", 1023) + "2",
}

func TestDelete_ClosesTheSessionThatIsMeantWhateverItsID(t *testing.T) {
	for _, format := range []func(string) string{nil, func(id string) string { return id }} { // found by its ID, and by a walk
		p := newPool(t, pool.Config[string, addrConn]{})
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, format, nil), Authorize: allowAll})
		site := httptest.NewServer(h)
		t.Cleanup(site.Close)
		open := make(map[string]*pool.Session[string, addrConn])
		for i, id := range strangeIDs {
			open[id] = register(t, p, id, fmt.Sprint("10.0.0.1:", i))
		}
		all := getJSON[pageAnswer](t, h, "/api/sessions?limit=500").Sessions
		require.Len(t, all, len(strangeIDs))
		for _, seen := range all {
			var i int
			_, err := fmt.Sscanf(seen.Address, "10.0.0.1:%d", &i)
			require.NoError(t, err)
			meant := strangeIDs[i]
			r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, site.URL+seen.path(), nil)
			require.NoError(t, err)
			r.Header.Set("X-Sessionwheel-Request", "1")
			answer, err := site.Client().Do(r)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusOK, answer.StatusCode, "%q", meant)
			require.NotEmpty(t, open[meant].Reason(), "%q", meant)
			delete(open, meant)
			for id, s := range open {
				require.Empty(t, s.Reason(), "%q was closed in place of %q", id, meant)
			}
		}
	}
}

func TestDelete_DoesNotCloseASuccessorUnderTheSameID(t *testing.T) {
	for _, format := range []func(string) string{nil, func(id string) string { return id }} {
		harness.Bubble(t, func(t *testing.T) {
			p := newPool(t, pool.Config[string, addrConn]{OnDuplicate: pool.Replace})
			h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, format, nil), Authorize: allowAll})
			register(t, p, "ann", "")
			seen := getJSON[pageAnswer](t, h, "/api/sessions").Sessions[0]
			time.Sleep(time.Second)
			successor := register(t, p, "ann", "")
			errorText(t, request(h, http.MethodDelete, seen.path()), http.StatusNotFound)
			require.Empty(t, successor.Reason())
			now := getJSON[pageAnswer](t, h, "/api/sessions").Sessions[0]
			require.Equal(t, *seen.Key, *now.Key)
			require.Equal(t, http.StatusOK, request(h, http.MethodDelete, now.path()).Code)
			require.NotEmpty(t, successor.Reason())
		})
	}
}

func TestDelete_TakesNoOtherFormOfAKey(t *testing.T) {
	h, s := oneSession(t, dashboard.Config{Authorize: allowAll})
	generation := strings.TrimPrefix(closePath("", s.RegisteredAt()), "/api/sessions/x")
	for _, key := range []string{"", "a", "x", "x6", "61", "x61/", "x6161", "%61", "x62", "x" + strings.Repeat("61", 1025)} {
		w := request(h, http.MethodDelete, "/api/sessions/"+key+generation)
		require.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, w.Code, key)
	}
	for _, query := range []string{"", "?generation=", "?generation=1x", "?generation=-1", "?generation=1&generation=1", "?generation=99999999999999999999"} {
		require.Contains(t, errorText(t, request(h, http.MethodDelete, "/api/sessions/x61"+query), http.StatusBadRequest), "generation", query)
	}
	require.Empty(t, s.Reason())
}

func TestSessions_SayWhetherAnIDIsShownExactly(t *testing.T) {
	p := newPool(t, pool.Config[string, addrConn]{})
	long := strings.Repeat("a", 1024)
	c := &fakeCluster{}
	for i, id := range []string{"", "a", long, long + "1", long + "2", "\xff", "\ufffd"} {
		register(t, p, id, fmt.Sprint(i))
		c.sessions = append(c.sessions, dashboard.ClusterSession{ID: id, Generation: uint64(i)})
	}
	h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Cluster: c, Authorize: allowAll})
	for _, list := range []string{"/api/sessions", clusterSessions} {
		keys := make(map[string]string)
		for _, s := range getJSON[pageAnswer](t, h, list).Sessions {
			key := "none"
			if s.Key != nil {
				key = *s.Key
			}
			if s.Exact {
				keys[key] = s.ID
			} else if key != "none" {
				keys[key] = "not exact"
			} else {
				keys[key] += s.ID
			}
		}
		require.Equal(t, map[string]string{
			"x": "", "x61": "a", "x" + strings.Repeat("61", 1024): long, "none": long + long, "xff": "not exact", "xefbfbd": "\ufffd",
		}, keys, list)
	}
}
