package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector is a prometheus.Collector, made by [Server], [UDP], [Pool] or
// [Wheel]. The registry calls its methods, from any goroutine and at once.
type Collector struct {
	labels  prometheus.Labels
	since   time.Time // when the counters were 0; zero if that is not known
	descs   []*prometheus.Desc
	collect func(send) // set by the constructor
}

// send takes one metric to the registry.
type send = chan<- prometheus.Metric

// Describe tells the registry what there is.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect sends the metrics as they are now, each taken once.
func (c *Collector) Collect(ch chan<- prometheus.Metric) { c.collect(ch) }

func (c *Collector) describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("sessionwheel_"+name, help, labels, c.labels)
	c.descs = append(c.descs, d)
	return d
}

// family is the metrics of one name.
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

func (f family) metric(v float64, labels ...string) prometheus.Metric {
	if f.since.IsZero() {
		return prometheus.MustNewConstMetric(f.desc, f.kind, v, labels...)
	}
	return prometheus.MustNewConstMetricWithCreatedTimestamp(f.desc, f.kind, v, f.since, labels...)
}

// count is metric for a whole number.
func (f family) count(n uint64, labels ...string) prometheus.Metric {
	return f.metric(float64(n), labels...)
}
