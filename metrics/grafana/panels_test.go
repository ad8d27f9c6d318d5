package grafana_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A panel needs no more than two scrapes, between which the server was busy, with or
// without native histograms.
func TestDashboard_PanelsShowABusyServer(t *testing.T) {
	all := queries(t, load(t))
	for _, tt := range []struct {
		accept string
		empty  string // the panel that is
	}{
		{asProtobuf, "Lateness (classic)"},
		{asText, "Lateness (native)"},
	} {
		t.Run(tt.accept, func(t *testing.T) {
			b, s, e := newBusy(t), make(store), newEngine(t)
			first := time.Unix(1_000_000, 0)
			second := first.Add(30 * time.Second)
			b.scrape(t, s, first, tt.accept)
			b.work(t)
			b.scrape(t, s, second, tt.accept)
			for _, q := range all {
				m := s.query(t, e, q.plain(), second, second, time.Minute)
				if q.panel == tt.empty {
					require.Empty(t, m, q.expr)
					continue
				}
				require.NotEmpty(t, m, "%s: %s", q.panel, q.expr)
				for _, series := range m {
					for _, p := range series.Floats {
						require.False(t, math.IsNaN(p.F), "%s: %s", q.panel, q.expr)
						require.GreaterOrEqual(t, p.F, 0.0, q.expr)
					}
				}
			}
		})
	}
}

// A quantile of the native buckets lies within the wheel's bucket. A quantile of the
// classic buckets lies within a bucket four times as wide.
func TestDashboard_QuantilesAreThoseOfTheWheel(t *testing.T) {
	var quantile string
	for _, q := range queries(t, load(t)) {
		if q.panel == "Lateness quantiles" && q.legend == "p99" {
			quantile = q.plain()
		}
	}
	require.NotEmpty(t, quantile)
	for accept, factor := range map[string]float64{asProtobuf: math.Exp2(1.0 / 4), asText: 2} {
		b, s, e := newBusy(t), make(store), newEngine(t)
		first := time.Unix(1_000_000, 0)
		second := first.Add(30 * time.Second)
		b.scrape(t, s, first, accept)
		for i := range 500 {
			b.wheel.AfterFunc(time.Duration(i)*100*time.Microsecond, func() {})
		}
		require.Eventually(t, func() bool { return b.wheel.Stats().Late.Count() == 500 }, patience, time.Millisecond)
		b.scrape(t, s, second, accept)

		m := s.query(t, e, quantile, second, second, time.Minute)
		require.Len(t, m, 1)
		shown, want := m[0].Floats[0].F, b.wheel.Stats().Late.Quantile(0.99).Seconds()
		require.Greater(t, shown, want/factor*0.999, accept)
		require.Less(t, shown, want*factor*1.001, accept)
	}
}
