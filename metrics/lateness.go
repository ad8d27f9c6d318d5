package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// The wheel's bounds are four to an octave of seconds, which is schema 2, and
// the bound with this number is one second, whose native bucket is number 0.
const (
	schema      = 2
	perOctave   = 1 << schema
	zerothBound = 55
)

// Classic buckets have the whole powers of two as bounds, of which this is the
// first: 1/1024 of a second.
const firstClassic = zerothBound - 10*perOctave

// bound is wheel.LatenessBound in seconds, before it was rounded to nanoseconds.
func bound(i int) float64 { return math.Exp2(float64(i-zerothBound) / perOctave) }

// histogram is a Lateness with native buckets and classic ones. A scraper takes
// those that it knows.
type histogram struct {
	native, classic prometheus.Metric
}

func newHistogram(d *prometheus.Desc, l wheel.Lateness, since time.Time) histogram {
	n, sum := l.Count(), l.Sum.Seconds()
	// The first bucket reaches down to 0, and so is the one that native histograms
	// have for what is about 0.
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

func (h histogram) Desc() *prometheus.Desc { return h.native.Desc() }

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
