package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestClusterSearch_KeepsNoMoreThanItShows(t *testing.T) {
	const many = 1_000_000
	meta := make([]byte, 64<<10)
	c := &fakeCluster{list: func(_ context.Context, f func(dashboard.ClusterSession) bool) error {
		for range many {
			if !f(dashboard.ClusterSession{ID: "somebody", Metadata: meta}) {
				return errors.New("told to stop")
			}
		}
		return nil
	}}
	h := handlerIn(t, c)
	for query, want := range map[string]clusterPageAnswer{"?q=x": {Looked: many}, "?q=body&limit=500": {Looked: 501, Cut: "limit"}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := getJSON[clusterPageAnswer](t, h, clusterSessions+query)
		runtime.ReadMemStats(&after)
		require.Equal(t, []any{want.Looked, want.Cut}, []any{got.Looked, got.Cut})
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), query)
	}
}

func TestClusterSearch_IsOverInTenSeconds(t *testing.T) {
	for name, tt := range map[string]struct {
		cluster *fakeCluster
		want    int // sessions; 0: an error
	}{
		"a slow list": {&fakeCluster{list: func(ctx context.Context, f func(dashboard.ClusterSession) bool) error {
			for i := 1; ; i++ {
				f(dashboard.ClusterSession{ID: "x" + strconv.Itoa(i)})
				if time.Sleep(3 * time.Second); ctx.Err() != nil {
					return fmt.Errorf("cut: %w", ctx.Err())
				}
			}
		}}, 4},
		"a list that does not heed its context": {&fakeCluster{list: func(_ context.Context, f func(dashboard.ClusterSession) bool) error {
			for f(dashboard.ClusterSession{ID: "y"}) {
				time.Sleep(5 * time.Millisecond)
			}
			return nil
		}}, -1},
		"a silent list": {&fakeCluster{list: func(ctx context.Context, _ func(dashboard.ClusterSession) bool) error {
			<-ctx.Done()
			return ctx.Err()
		}}, 0},
		"a silent look-up": {&fakeCluster{ask: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				began := time.Now()
				w := request(handlerIn(t, tt.cluster), http.MethodGet, clusterSessions+"?q=x")
				require.WithinRange(t, time.Now(), began.Add(10*time.Second), began.Add(16*time.Second))
				if tt.want == 0 {
					require.Contains(t, errorText(t, w, http.StatusServiceUnavailable), "no answer within 10s")
					return
				}
				require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
				require.Contains(t, w.Body.String(), `"cut":"time"`)
				require.Equal(t, max(0, tt.want), strings.Count(w.Body.String(), `"id":"x`))
			})
		})
	}
}

func TestClusterSearch_RunsOneAtATimeAndDelaysNothingElse(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		turn := make(chan struct{})
		alone := &alone{t: t}
		c := newFakeCluster()
		c.list = func(context.Context, func(dashboard.ClusterSession) bool) error {
			alone.enter()
			<-turn
			time.Sleep(time.Second)
			alone.leave()
			return nil
		}
		h := handlerIn(t, c)
		codes := make(chan int, 3)
		for range 3 {
			go func() { codes <- request(h, http.MethodGet, clusterSessions).Code }() // waited for below
			synctest.Wait()
		}
		refused := request(h, http.MethodGet, clusterSessions)
		errorText(t, refused, http.StatusTooManyRequests)
		require.NotEmpty(t, refused.Header().Get("Retry-After"))
		for _, path := range []string{"/api/sessions", "/api/stats", "/api/cluster", clusterSessions + "?q=ann"} {
			require.Equal(t, http.StatusOK, request(h, http.MethodGet, path).Code, path)
		}
		require.Equal(t, http.StatusOK, request(h, http.MethodDelete, clusterSessions+"/x616e6e?generation=3").Code)
		began := time.Now()
		for range 3 {
			turn <- struct{}{}
			require.Equal(t, http.StatusOK, <-codes)
		}
		require.Equal(t, 5*time.Second, time.Since(began), "each is followed by a pause of its own length")
	})
}

func TestCluster_ARequestEndsWhenItsClientHasGone(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		block := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		c := &fakeCluster{
			ask:  block,
			list: func(ctx context.Context, _ func(dashboard.ClusterSession) bool) error { return block(ctx) },
		}
		h := handlerIn(t, c)
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan *httptest.ResponseRecorder, 4)
		for _, call := range []string{"GET " + clusterSessions, "GET " + clusterSessions, "GET " + clusterSessions + "?q=a", "DELETE " + clusterSessions + "/x61?generation=1"} {
			method, path, _ := strings.Cut(call, " ")
			go func() { // waited for below
				done <- request(h, method, path, func(r *http.Request) { *r = *r.WithContext(ctx) })
			}()
		}
		synctest.Wait()
		require.Empty(t, done)
		cancel()
		for range 4 {
			errorText(t, <-done, http.StatusServiceUnavailable)
		}
		require.Zero(t, time.Since(began))
	})
}

func TestCluster_ABrokerThatCannotBeReachedIsReportedAndTheRestGoesOn(t *testing.T) {
	// It may have limits of its own.
	gone := fmt.Errorf("the broker is on fire: %w", context.DeadlineExceeded)
	fails := func(context.Context) error { return gone }
	for _, tt := range []struct {
		method, path string
		cluster      *fakeCluster
	}{
		{"GET", clusterSessions + "?q=a", &fakeCluster{ask: fails}},
		{"GET", clusterSessions, &fakeCluster{list: func(_ context.Context, f func(dashboard.ClusterSession) bool) error {
			f(dashboard.ClusterSession{ID: "a"})
			return gone
		}}},
		{"DELETE", clusterSessions + "/x61?generation=1", &fakeCluster{ask: fails}},
	} {
		h := handlerIn(t, tt.cluster)
		require.Contains(t, errorText(t, request(h, tt.method, tt.path), http.StatusServiceUnavailable), "the broker is on fire")
		for _, path := range []string{"/", "/api/stats", "/api/sessions", "/api/cluster"} {
			require.Equal(t, http.StatusOK, request(h, http.MethodGet, path).Code, path)
		}
	}
}

func TestClusterSearch_AsksForOneIDAtATime(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		alone := &alone{t: t}
		c := newFakeCluster()
		c.ask = func(context.Context) error {
			alone.enter()
			time.Sleep(10 * time.Millisecond)
			alone.leave()
			return nil
		}
		h := handlerIn(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		done := make(chan int, 60)
		for range 60 {
			go func() { // waited for below
				n := 0
				for ; ctx.Err() == nil; n++ {
					code := request(h, http.MethodGet, clusterSessions+"?q=nobody").Code
					if code != http.StatusOK {
						time.Sleep(10 * time.Millisecond)
					}
					if code != http.StatusOK && code != http.StatusTooManyRequests {
						t.Errorf("the answer is %d", code)
					}
				}
				done <- n
			}()
		}
		asked := 0
		for range 60 {
			asked += <-done
		}
		require.Greater(t, asked, 5_000)
		require.LessOrEqual(t, c.lookups.Load(), int32(160), "in 3 s, of 10 ms each, followed by a pause of 10 ms")
	})
}
