//go:build unix

package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// processorTime returns the processor time that the process has taken.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var use syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// Sixty viewers of half a million sessions, who ask again as soon as they are answered,
// take less than one processor and 200 MB. Each asks for a page of its own, so that none
// shares a search.
//
// Variables of the environment change what is measured: with COSTS_SAME all ask for the
// first page; COSTS_OFFSET is the row that the pages begin at, and COSTS_FOR the duration.
func TestCosts_OfViewersThatListManySessionsWithoutAPauseAreBounded(t *testing.T) {
	switch {
	case testing.Short():
		t.Skip("it measures for some seconds")
	case harness.RaceDetector:
		t.Skip("the race detector takes processor time and memory of its own")
	}
	const sessions, viewers = 500_000, 60
	offset, measured := 10_000, 3*time.Second
	if given, err := strconv.Atoi(os.Getenv("COSTS_OFFSET")); err == nil {
		offset = given
	}
	if given, err := time.ParseDuration(os.Getenv("COSTS_FOR")); err == nil {
		measured = given
	}
	p := newPool(t, pool.Config[int64, addrConn]{})
	for i := range int64(sessions) {
		register(t, p, i, fmt.Sprintf("10.%d.%d.%d:5000", i>>16&255, i>>8&255, i&255))
	}
	h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
	runtime.GC()
	var before, during runtime.MemStats
	runtime.ReadMemStats(&before)
	began, used := time.Now(), processorTime(t)
	ctx, cancel := context.WithTimeout(t.Context(), measured)
	defer cancel()
	here := func(r *http.Request) { *r = *r.WithContext(ctx) }
	var answered, refused atomic.Int64
	var work sync.WaitGroup
	for viewer := range viewers {
		path := fmt.Sprintf("/api/sessions?sort=address&limit=50&offset=%d", offset-viewer)
		if os.Getenv("COSTS_SAME") != "" {
			path = "/api/sessions?limit=25"
		}
		work.Go(func() {
			for ctx.Err() == nil {
				switch w := request(h, http.MethodGet, path, here); {
				case ctx.Err() != nil:
				case w.Code == http.StatusOK:
					answered.Add(1)
				case w.Code == http.StatusTooManyRequests:
					refused.Add(1)
					time.Sleep(10 * time.Millisecond)
				default:
					t.Errorf("%d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	var peak uint64
	for ctx.Err() == nil {
		runtime.ReadMemStats(&during)
		peak = max(peak, during.HeapAlloc)
		time.Sleep(100 * time.Millisecond)
	}
	processors := (processorTime(t) - used).Seconds() / time.Since(began).Seconds()
	work.Wait()
	t.Logf("%d sessions, %d viewers, offset %d: %.2f processors, %d MB more than without, %d answers, %d refusals",
		sessions, viewers, offset, processors, int64(peak-before.HeapAlloc)>>20, answered.Load(), refused.Load())
	require.Positive(t, answered.Load())
	require.Less(t, processors, 1.0)
	require.Less(t, int64(peak-before.HeapAlloc)>>20, int64(200))
}
