package otelmetrics

import (
	"context"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// The wheel has four bounds per power of two, which is scale 2 of exponential
// histograms. The bound with index zerothBound is one second. The index of an
// exponential bucket is that of its lower bound.
const (
	scale       = 2
	perOctave   = 1 << scale
	zerothBound = 55
	offset      = -zerothBound - 1
)

// Lateness returns a producer of the histogram sessionwheel.lateness: how long after
// its deadline each callback of a wheel started, in seconds. Pass it to a reader with
// sdkmetric.WithProducer. Callbacks that started more than 64 s late are counted in
// the last bucket, whose upper bound is 76 s. The measurements have the attribute
// wheel with the given name. Lateness panics if w is nil.
func Lateness(name string, w *wheel.Wheel) sdkmetric.Producer {
	if w == nil {
		panic("otelmetrics: Lateness: w is nil")
	}
	return &producer{w, attribute.NewSet(named("wheel", name))}
}

// producer is safe for concurrent use: it is immutable.
type producer struct {
	wheel      *wheel.Wheel
	attributes attribute.Set
}

// Produce returns the histogram as it is now. The reader calls it.
func (p *producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	return []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: scope},
		Metrics: []metricdata.Metrics{{
			Name:        prefix + "lateness",
			Description: "How long after its deadline each callback started.",
			Unit:        "s",
			Data: metricdata.ExponentialHistogram[float64]{
				Temporality: metricdata.CumulativeTemporality,
				DataPoints:  []metricdata.ExponentialHistogramDataPoint[float64]{p.point()},
			},
		}},
	}}, nil
}

// point returns the histogram's data.
func (p *producer) point() metricdata.ExponentialHistogramDataPoint[float64] {
	l := p.wheel.Stats().Late
	return metricdata.ExponentialHistogramDataPoint[float64]{
		Attributes: p.attributes,
		StartTime:  p.wheel.Time(0),
		Time:       time.Now(),
		Count:      l.Count(),
		Sum:        l.Sum.Seconds(),
		Scale:      scale,
		// The first bucket begins at 0, so it is the zero bucket of the histogram.
		ZeroCount:      l.Counts[0],
		ZeroThreshold:  math.Exp2(-zerothBound / float64(perOctave)),
		PositiveBucket: positive(l),
	}
}

// positive returns the buckets above the first, without empty ones at either end.
func positive(l wheel.Lateness) metricdata.ExponentialBucket {
	first, end := 1, len(l.Counts)
	for first < end && l.Counts[first] == 0 {
		first++
	}
	for first < end && l.Counts[end-1] == 0 {
		end--
	}
	return metricdata.ExponentialBucket{Offset: int32(first + offset), Counts: l.Counts[first:end]}
}
