package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector is a prometheus.Collector. Make one with [Server], [UDP], [Pool] or
// [Wheel]. Its methods may be called concurrently; the registry calls them.
type Collector struct {
	labels  prometheus.Labels
	since   time.Time // when the counters were 0; the zero time if that is not known
	descs   []*prometheus.Desc
	collect func(send) // set by the constructor
}

// send is the registry's channel for metrics.
type send = chan<- prometheus.Metric

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect sends the current values of all metrics.
func (c *Collector) Collect(ch chan<- prometheus.Metric) { c.collect(ch) }

// describe adds a metric to the description of the collector.
func (c *Collector) describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("sessionwheel_"+name, help, labels, c.labels)
	c.descs = append(c.descs, d)
	return d
}

// family is a set of metrics with one name, and one for each combination of label
// values.
type family struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	since time.Time
}

func (c *Collector) gauge(name, help string, labels ...string) family {
	return family{desc: c.describe(name, help, labels...), kind: prometheus.GaugeValue}
}

func (c *Collector) counter(name, help string, labels ...string) family {
	return family{desc: c.describe(name, help, labels...), kind: prometheus.CounterValue, since: c.since}
}

// metric returns the metric with the value v and the given label values.
func (f family) metric(v float64, labels ...string) prometheus.Metric {
	if f.since.IsZero() {
		return prometheus.MustNewConstMetric(f.desc, f.kind, v, labels...)
	}
	return prometheus.MustNewConstMetricWithCreatedTimestamp(f.desc, f.kind, v, f.since, labels...)
}

// count returns the metric with the value n.
func (f family) count(n uint64, labels ...string) prometheus.Metric {
	return f.metric(float64(n), labels...)
}
