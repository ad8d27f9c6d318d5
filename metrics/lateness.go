package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// The wheel has four bounds per power of two, which is schema 2 of native
// histograms. The bound with index zerothBound is one second, the upper bound of
// native bucket 0.
const (
	schema      = 2
	perOctave   = 1 << schema
	zerothBound = 55
)

// firstClassic is the index of the first bound of a classic bucket, 1/1024 of a
// second. The bounds of classic buckets are powers of two.
const firstClassic = zerothBound - 10*perOctave

// bound returns wheel.LatenessBound(i) in seconds, without its rounding to
// nanoseconds.
func bound(i int) float64 { return math.Exp2(float64(i-zerothBound) / perOctave) }

// histogram is a metric with native and classic buckets. A scraper uses those that
// it supports.
type histogram struct {
	native, classic prometheus.Metric
}

func newHistogram(d *prometheus.Desc, l wheel.Lateness, since time.Time) histogram {
	n, sum := l.Count(), l.Sum.Seconds()
	// The first bucket begins at 0, so it is the zero bucket of the native histogram.
	native := make(map[int]int64)
	for i := 1; i < len(l.Counts); i++ {
		if l.Counts[i] > 0 {
			native[i-zerothBound] = int64(l.Counts[i])
		}
	}
	classic := make(map[float64]uint64)
	var below uint64
	for i := range wheel.LatenessBuckets {
		below += l.Counts[i]
		if i >= firstClassic && (i-firstClassic)%perOctave == 0 {
			classic[bound(i)] = below
		}
	}
	return histogram{
		native:  prometheus.MustNewConstNativeHistogram(d, n, sum, native, nil, l.Counts[0], schema, bound(0), since),
		classic: prometheus.MustNewConstHistogram(d, n, sum, classic),
	}
}

// Desc returns the description of the metric.
func (h histogram) Desc() *prometheus.Desc { return h.native.Desc() }

// Write writes both kinds of buckets to m.
func (h histogram) Write(m *dto.Metric) error {
	var classic dto.Metric
	if err := h.classic.Write(&classic); err != nil {
		return err
	}
	if err := h.native.Write(m); err != nil {
		return err
	}
	m.Histogram.Bucket = classic.Histogram.Bucket
	return nil
}
