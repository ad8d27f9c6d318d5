package dashboard_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestHandler_IsUsedFromManyGoroutinesAtOnce(t *testing.T) {
	w := harness.NewWheel(t, wheel.Config{})
	p := newPool(t, pool.Config[int, addrConn]{Wheel: w})
	h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Wheel: w, Authorize: allowAll})
	site := httptest.NewServer(h)
	defer site.Close()
	defer h.Close()
	var work sync.WaitGroup
	for g := range 4 {
		work.Go(func() {
			for i := range 200 {
				id := 1000*g + i
				s, err := p.Register(id, addrConn(fmt.Sprintf("10.0.0.%d:%d", g, i)))
				if err != nil {
					t.Error(err)
					return
				}
				if code := request(h, http.MethodDelete, closePath(fmt.Sprint(id-i%2), s.RegisteredAt())).Code; code != http.StatusOK && code != http.StatusNotFound {
					t.Errorf("DELETE answered %d", code)
				}
			}
		})
		work.Go(func() {
			for _, sort := range []string{"id", "address", "idle", "remaining", "age"} {
				if code := request(h, http.MethodGet, "/api/sessions?q=10.0.0.&sort="+sort).Code; code != http.StatusOK {
					t.Errorf("a search answered %d", code)
				}
				request(h, http.MethodGet, "/api/stats")
			}
		})
		work.Go(func() {
			answer, err := site.Client().Get(site.URL + "/api/events")
			if err != nil {
				t.Error(err)
				return
			}
			_, err = answer.Body.Read(make([]byte, 100))
			if err = errors.Join(err, answer.Body.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	st := p.Stats()
	require.EqualValues(t, 800, st.Registered)
	require.Equal(t, st.Closed, st.ByReason["Closed by operator"])
	require.Equal(t, 800-int(st.Closed), getJSON[pageAnswer](t, h, "/api/sessions").Total)
}
