package otelmetrics_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	otelmetrics "github.com/sessionwheel/sessionwheel/metrics/otel"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/udp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

var (
	metricsTable = regexp.MustCompile(`(?s)<!-- metrics -->\n(.*?)<!-- /metrics -->`)
	instrument   = regexp.MustCompile("`(sessionwheel\\.[a-z._]+)`")
)

func TestDocs_TableNamesEveryInstrument(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	table := metricsTable.FindStringSubmatch(string(text))
	require.NotNil(t, table, "docs/observability.md has no table between <!-- metrics --> and <!-- /metrics -->")
	var documented []string
	for _, name := range instrument.FindAllStringSubmatch(table[1], -1) {
		documented = append(documented, name[1])
	}

	w, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	defer w.Close()
	p, reader := provider(t, sdkmetric.WithProducer(otelmetrics.Lateness("w", w)))
	must(t)(otelmetrics.Wheel(p, "w", w))
	must(t)(otelmetrics.Server(p, "tcp", &tcp.Server{}))
	must(t)(otelmetrics.UDP(p, "udp", &udp.Server{}))
	must(t)(otelmetrics.Pool(p, "pool", func() pool.Stats { return pool.Stats{} }))
	require.ElementsMatch(t, slices.Collect(maps.Keys(collect(t, reader))), documented)
}
