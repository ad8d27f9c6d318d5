package metrics_test

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestWheel_ScrapeShowsWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w, err := wheel.New(wheel.Config{Tick: 20 * time.Millisecond, MaxCallbacks: 2})
		require.NoError(t, err)
		defer w.Close()
		reg := registry(t, metrics.Wheel("main", w))

		blocked := make(chan struct{})
		for range 5 {
			w.AfterFunc(time.Second, func() { <-blocked })
		}
		for range 10 {
			w.AfterFunc(time.Hour, func() {})
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		found := gather(t, reg)
		got := found.series()
		for name, want := range map[string]float64{
			"tick_seconds":       0.02,
			"timers_pending":     10,
			"timers_fired_total": 5,
			"callbacks_running":  2,
			"callbacks_waiting":  3,
			"rescues_total":      0,
			"library_disabled":   0,
		} {
			require.Equal(t, want, got["sessionwheel_"+name+`{wheel="main"}`], name)
		}
		slots := got[`sessionwheel_slots_used{wheel="main"}`]
		require.True(t, 1 <= slots && slots <= 10, "10 timers are in %v slots", slots)
		require.Contains(t, got, `sessionwheel_timers_moved_total{wheel="main"}`)

		// The counters began when the wheel was made.
		for _, name := range found.counters() {
			require.Equal(t, begin.UnixNano(), found[name].Metric[0].Counter.CreatedTimestamp.AsTime().UnixNano(), name)
		}
		close(blocked)
		time.Sleep(2 * time.Hour)
		require.Zero(t, gather(t, reg).series()[`sessionwheel_timers_pending{wheel="main"}`])
	})
}

// delays are the times by which a callback delays another.
var delays = []time.Duration{
	0, 80 * time.Microsecond, 100 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 30 * time.Millisecond,
	250 * time.Millisecond, time.Second, 7 * time.Second, 60 * time.Second, 80 * time.Second, time.Hour,
}

// lateWheel returns a wheel whose callbacks started late, and how late each one
// was.
func lateWheel(t *testing.T) (w *wheel.Wheel, late []time.Duration) {
	w, err := wheel.New(wheel.Config{MaxCallbacks: 1})
	require.NoError(t, err)
	var mu sync.Mutex
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
	return w, late
}

func TestLateness_IsAHistogramWithNativeAndClassicBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, late := lateWheel(t)
		defer w.Close()
		h := gather(t, registry(t, metrics.Wheel("main", w)))["sessionwheel_lateness_seconds"].Metric[0].Histogram

		var sum time.Duration
		for _, l := range late {
			sum += l
		}
		require.EqualValues(t, len(late), h.GetSampleCount())
		require.InDelta(t, sum.Seconds(), h.GetSampleSum(), 1e-6)

		require.Len(t, h.Bucket, 17)
		for i, b := range h.Bucket {
			require.Equal(t, math.Ldexp(1, i-10), b.GetUpperBound())
			require.Equal(t, atMost(late, b.GetUpperBound()), b.GetCumulativeCount(), "at most %v s", b.GetUpperBound())
		}

		// The sum up to a bucket is the number of callbacks that were at most as late as
		// its bound.
		require.EqualValues(t, 2, h.GetSchema())
		require.InDelta(t, wheel.LatenessBound(0).Seconds(), h.GetZeroThreshold(), 1e-9)
		require.Equal(t, atMost(late, h.GetZeroThreshold()), h.GetZeroCount())
		require.Empty(t, h.NegativeSpan)
		below := h.GetZeroCount()
		last := math.Exp2(25.0 / 4) // what is beyond the last of the wheel's bounds counts there
		for _, b := range nativeBuckets(h) {
			below += b.count
			if want := atMost(late, b.bound); b.bound < last {
				require.Equal(t, want, below, "at most %v s", b.bound)
			} else {
				require.Equal(t, last, b.bound)
			}
		}
		require.EqualValues(t, len(late), below)
	})
}

// A scraper gets native buckets in Protobuf, and classic ones in both formats.
func TestLateness_ScraperGetsTheBucketsItSupports(t *testing.T) {
	w, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	defer w.Close()
	done := make(chan struct{})
	w.AfterFunc(time.Millisecond, func() { close(done) })
	next(t, done)
	url := exposed(t, registry(t, metrics.Wheel("main", w)))
	for _, accept := range []string{asText, asProtobuf} {
		found, err := scrape(url, accept)
		require.NoError(t, err)
		h := found["sessionwheel_lateness_seconds"].Metric[0].Histogram
		require.EqualValues(t, 1, h.GetSampleCount())
		require.GreaterOrEqual(t, len(h.Bucket), 17)
		require.Equal(t, accept == asProtobuf, h.Schema != nil)
		if accept == asProtobuf {
			n := h.GetZeroCount()
			for _, b := range nativeBuckets(h) {
				n += b.count
			}
			require.EqualValues(t, 1, n)
		}
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

type nativeBucket struct {
	bound float64
	count uint64
}

// nativeBuckets returns the positive buckets of a native histogram with their upper
// bounds.
func nativeBuckets(h *dto.Histogram) (buckets []nativeBucket) {
	var index int32
	var count int64
	deltas := h.PositiveDelta
	for _, span := range h.PositiveSpan {
		index += span.GetOffset()
		for range span.GetLength() {
			count += deltas[0]
			deltas = deltas[1:]
			buckets = append(buckets, nativeBucket{math.Exp2(float64(index) / math.Exp2(float64(h.GetSchema()))), uint64(count)})
			index++
		}
	}
	return buckets
}
