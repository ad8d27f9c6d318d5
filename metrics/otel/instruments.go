package otelmetrics

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	scope  = "github.com/sessionwheel/sessionwheel/metrics/otel"
	prefix = "sessionwheel."
)

// instruments holds the instruments of one registration, and the errors of making
// them, which register returns.
type instruments struct {
	meter metric.Meter
	name  attribute.KeyValue // of all measurements
	all   []metric.Observable
	errs  []error
}

func newInstruments(p metric.MeterProvider, key, name string) *instruments {
	return &instruments{meter: p.Meter(scope), name: named(key, name)}
}

// named returns an attribute with the given name as valid UTF-8.
func named(key, name string) attribute.KeyValue {
	return attribute.String(key, strings.ToValidUTF8(name, "\uFFFD"))
}

// add records an instrument and the error of making it.
func (in *instruments) add(o metric.Observable, err error) {
	in.all = append(in.all, o)
	in.errs = append(in.errs, err)
}

func (in *instruments) counter(name, unit, description string) metric.Int64ObservableCounter {
	c, err := in.meter.Int64ObservableCounter(prefix+name, metric.WithUnit(unit), metric.WithDescription(description))
	in.add(c, err)
	return c
}

// level returns an instrument for an amount that may be summed over servers or
// wheels.
func (in *instruments) level(name, unit, description string) metric.Int64ObservableUpDownCounter {
	l, err := in.meter.Int64ObservableUpDownCounter(prefix+name, metric.WithUnit(unit), metric.WithDescription(description))
	in.add(l, err)
	return l
}

func (in *instruments) gauge(name, unit, description string) metric.Float64ObservableGauge {
	g, err := in.meter.Float64ObservableGauge(prefix+name, metric.WithUnit(unit), metric.WithDescription(description))
	in.add(g, err)
	return g
}

// register makes the provider call observe at each collection.
func (in *instruments) register(observe func(observer)) (metric.Registration, error) {
	if err := errors.Join(in.errs...); err != nil {
		return nil, fmt.Errorf("otelmetrics: %w", err)
	}
	plain := metric.WithAttributeSet(attribute.NewSet(in.name))
	r, err := in.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		observe(observer{o, in.name, plain})
		return nil
	}, in.all...)
	if err != nil {
		return nil, fmt.Errorf("otelmetrics: %w", err)
	}
	return r, nil
}

// observer records the measurements of one collection.
type observer struct {
	to    metric.Observer
	name  attribute.KeyValue
	plain metric.ObserveOption // name as the only attribute
}

func (o observer) count(of metric.Int64Observable, n uint64) {
	o.to.ObserveInt64(of, int64(n), o.plain)
}

func (o observer) countBy(of metric.Int64Observable, n uint64, key, value string) {
	o.to.ObserveInt64(of, int64(n), metric.WithAttributes(o.name, attribute.String(key, value)))
}

func (o observer) gauge(of metric.Float64Observable, v float64) {
	o.to.ObserveFloat64(of, v, o.plain)
}
