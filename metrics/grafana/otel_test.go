package grafana_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	otelmetrics "github.com/sessionwheel/sessionwheel/metrics/otel"
)

// The dashboard and the alerts work with both packages, because OpenTelemetry's
// exporter turns the instruments into metrics of the same names, types, labels and
// values.
func TestOTel_TranslatedToPrometheusIsWhatMetricsExposes(t *testing.T) {
	b := newBusy(t)
	b.work(t)
	reg := prometheus.NewPedanticRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(reg), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo(),
		exporter.WithProducer(otelmetrics.Lateness("main", b.wheel)))
	require.NoError(t, err)
	p := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer func() { require.NoError(t, p.Shutdown(context.Background())) }()
	_, err = otelmetrics.Wheel(p, "main", b.wheel)
	require.NoError(t, err)
	_, err = otelmetrics.Server(p, "chat", b.tcp)
	require.NoError(t, err)
	_, err = otelmetrics.UDP(p, "game", b.udp)
	require.NoError(t, err)

	require.EventuallyWithT(t, func(c *assert.CollectT) { // the wheel turns between the two
		require.Equal(c, summary(t, b.registry), summary(t, reg))
	}, patience, 10*time.Millisecond)
}

// summary returns the types and values of a registry's metrics, by name and
// labels.
func summary(t testing.TB, reg *prometheus.Registry) map[string]any {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	all := make(map[string]any)
	for _, mf := range families {
		for _, m := range mf.Metric {
			key := mf.GetName() + mf.GetType().String()
			for _, l := range m.Label {
				key += " " + l.GetName() + "=" + l.GetValue()
			}
			switch mf.GetType() {
			case dto.MetricType_COUNTER:
				all[key] = m.Counter.GetValue()
			case dto.MetricType_GAUGE:
				all[key] = m.Gauge.GetValue()
			default:
				h := m.Histogram
				for _, span := range h.PositiveSpan {
					all[key+" spans"] = []any{all[key+" spans"], span.GetOffset(), span.GetLength()}
				}
				all[key] = []any{h.GetSampleCount(), h.GetSampleSum(), h.GetSchema(), h.GetZeroThreshold(), h.GetZeroCount(), h.PositiveDelta}
			}
		}
	}
	return all
}
