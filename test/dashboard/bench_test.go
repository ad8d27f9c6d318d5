package dashboard_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func benchDashboard(b *testing.B, n int) *dashboard.Handler {
	const idle = 5 * time.Minute
	w := harness.NewWheel(b, wheel.Config{})
	p := newPool(b, pool.Config[int64, addrConn]{Wheel: w, IdleTimeout: idle})
	for i := range int64(n) {
		s := register(b, p, i, fmt.Sprintf("10.%d.%d.%d:5000", i>>16&255, i>>8&255, i&255))
		s.SetIdleTimeout(idle + time.Duration(i)*time.Millisecond)
	}
	return newHandler(b, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Wheel: w, Interval: 100 * time.Millisecond})
}

// BenchmarkDashboardPage measures the answer with a page of sessions. The pause
// that follows each answer is not measured.
func BenchmarkDashboardPage(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		h := benchDashboard(b, n)
		for _, query := range []string{
			"sort=idle", "sort=idle&order=desc&offset=50000", "sort=remaining", "sort=id", "sort=address", "q=10.1.2.", "idle=1h",
		} {
			b.Run(fmt.Sprintf("sessions=%d/%s", n, query), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					began := time.Now()
					w := request(h, http.MethodGet, "/api/sessions?limit=50&"+query)
					took := time.Since(began)
					b.StopTimer()
					require.Equal(b, http.StatusOK, w.Code)
					time.Sleep(took + took/2)
					b.StartTimer()
				}
			})
		}
	}
}

// BenchmarkDashboardStats measures taking the figures, with a wheel that is in use,
// and encoding them.
func BenchmarkDashboardStats(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			h := benchDashboard(b, n)
			b.ReportAllocs()
			for b.Loop() {
				w := request(h, http.MethodGet, "/api/stats")
				b.StopTimer()
				require.Equal(b, http.StatusOK, w.Code)
				b.ReportMetric(float64(w.Body.Len()), "B/answer")
				time.Sleep(11 * time.Millisecond) // until they are taken again
				b.StartTimer()
			}
		})
	}
}
