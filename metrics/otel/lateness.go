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

// The wheel's bounds are four to an octave of seconds, which is scale 2, and the
// bound with this number is one second. An exponential bucket is numbered by the
// bound below it.
const (
	scale       = 2
	perOctave   = 1 << scale
	zerothBound = 55
	offset      = -zerothBound - 1
)

// Lateness makes a producer of the histogram sessionwheel.lateness, in seconds:
// how long after its deadline each callback of a wheel started. It is given to a
// reader by sdkmetric.WithProducer. Callbacks that were more than 64 s late count
// in the last bucket, up to 76 s. The name is the attribute wheel. Lateness panics
// if w is nil.
func Lateness(name string, w *wheel.Wheel) sdkmetric.Producer {
	if w == nil {
		panic("otelmetrics: Lateness: w is nil")
	}
	return &producer{w, attribute.NewSet(named("wheel", name))}
}

// producer is safe for concurrent use, since it has no state.
type producer struct {
	wheel      *wheel.Wheel
	attributes attribute.Set
}

// Produce is called by the reader.
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

func (p *producer) point() metricdata.ExponentialHistogramDataPoint[float64] {
	l := p.wheel.Stats().Late
	return metricdata.ExponentialHistogramDataPoint[float64]{
		Attributes: p.attributes,
		StartTime:  p.wheel.Time(0),
		Time:       time.Now(),
		Count:      l.Count(),
		Sum:        l.Sum.Seconds(),
		Scale:      scale,
		// The first bucket reaches down to 0, and so is the one that exponential
		// histograms have for what is about 0.
		ZeroCount:      l.Counts[0],
		ZeroThreshold:  math.Exp2(-zerothBound / float64(perOctave)),
		PositiveBucket: positive(l),
	}
}

// positive are the buckets but the first, from the first that is not empty to the
// last.
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
