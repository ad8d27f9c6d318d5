package otelmetrics_test

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	otelmetrics "github.com/sessionwheel/sessionwheel/metrics/otel"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestWheel_CollectionShowsWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := wheel.New(wheel.Config{Tick: 20 * time.Millisecond, MaxCallbacks: 2})
		require.NoError(t, err)
		defer w.Close()
		p, reader := provider(t)
		must(t)(otelmetrics.Wheel(p, "main", w))

		blocked := make(chan struct{})
		defer close(blocked)
		for range 5 {
			w.AfterFunc(time.Second, func() { <-blocked })
		}
		w.AfterFunc(time.Hour, func() {})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got := series(t, collect(t, reader))
		for name, want := range map[string]float64{
			"tick":              0.02,
			"timers.pending":    1,
			"timers.fired":      5,
			"slots.used":        1,
			"callbacks.running": 2,
			"callbacks.waiting": 3,
			"rescues":           0,
			"library.disabled":  0,
		} {
			require.Equal(t, want, got["sessionwheel."+name+"{wheel=main}"], name)
		}
		require.Contains(t, got, "sessionwheel.timers.moved{wheel=main}")
	})
}

// delays are the times by which a callback delays another.
var delays = []time.Duration{
	0, 80 * time.Microsecond, 100 * time.Microsecond, 2 * time.Millisecond, 30 * time.Millisecond,
	time.Second, 7 * time.Second, 60 * time.Second, 80 * time.Second, time.Hour,
}

func TestLateness_IsAnExponentialHistogram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w, err := wheel.New(wheel.Config{MaxCallbacks: 1})
		require.NoError(t, err)
		defer w.Close()
		_, reader := provider(t, sdkmetric.WithProducer(otelmetrics.Lateness("main\xff", w)))
		point := func() metricdata.ExponentialHistogramDataPoint[float64] {
			m := collect(t, reader)["sessionwheel.lateness"]
			require.Equal(t, "s", m.Unit)
			h := m.Data.(metricdata.ExponentialHistogram[float64])
			require.Equal(t, metricdata.CumulativeTemporality, h.Temporality)
			require.Len(t, h.DataPoints, 1)
			return h.DataPoints[0]
		}
		require.Zero(t, point().Count)
		require.Empty(t, point().PositiveBucket.Counts)

		var mu sync.Mutex
		var late []time.Duration
		at := func(due time.Time, f func()) {
			w.AfterFunc(time.Until(due), func() {
				mu.Lock()
				late = append(late, time.Since(due))
				mu.Unlock()
				f()
			})
		}
		for _, d := range delays {
			due := time.Now().Add(2*time.Second - w.Elapsed()%w.Tick()) // as a tick is
			at(due.Add(-time.Second), func() { time.Sleep(time.Until(due) + d) })
			at(due, func() {})
			time.Sleep(time.Until(due) + d + time.Second)
			synctest.Wait()
		}
		require.Len(t, late, 2*len(delays))
		require.Subset(t, late, delays)

		p := point()
		value, ok := p.Attributes.Value("wheel")
		require.True(t, ok)
		require.Equal(t, "main\uFFFD", value.AsString())
		require.True(t, begin.Equal(p.StartTime))
		require.True(t, time.Now().Equal(p.Time))
		require.EqualValues(t, len(late), p.Count)
		var sum time.Duration
		for _, l := range late {
			sum += l
		}
		require.InDelta(t, sum.Seconds(), p.Sum, 1e-6)

		// The sum up to a bucket is the number of callbacks that were at most as late as
		// its bound.
		require.EqualValues(t, 2, p.Scale)
		require.InDelta(t, wheel.LatenessBound(0).Seconds(), p.ZeroThreshold, 1e-9)
		below := p.ZeroCount
		require.Equal(t, atMost(late, p.ZeroThreshold), below)
		last := math.Exp2(25.0 / 4) // what is beyond the last of the wheel's bounds counts there
		var bound float64
		for i, n := range p.PositiveBucket.Counts {
			below += n
			bound = math.Exp2(float64(int(p.PositiveBucket.Offset)+i+1) / 4)
			if bound < last {
				require.Equal(t, atMost(late, bound), below, "at most %v s", bound)
			}
		}
		require.Equal(t, last, bound)
		require.EqualValues(t, len(late), below)
		require.NotZero(t, p.PositiveBucket.Counts[0])
	})
}

// A producer does not know which temporality a reader prefers; its data says which
// one it has.
func TestLateness_IsCumulativeEvenForADeltaReader(t *testing.T) {
	w, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	defer w.Close()
	done := make(chan struct{})
	w.AfterFunc(0, func() { close(done) })
	next(t, done)
	_, reader := provider(t,
		sdkmetric.WithProducer(otelmetrics.Lateness("main", w)),
		sdkmetric.WithTemporalitySelector(func(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }))
	for range 2 {
		h := collect(t, reader)["sessionwheel.lateness"].Data.(metricdata.ExponentialHistogram[float64])
		require.Equal(t, metricdata.CumulativeTemporality, h.Temporality)
		require.EqualValues(t, 1, h.DataPoints[0].Count)
	}
}

// atMost returns how many callbacks were at most that late.
func atMost(late []time.Duration, seconds float64) (n uint64) {
	for _, l := range late {
		if l.Seconds() <= seconds {
			n++
		}
	}
	return n
}
