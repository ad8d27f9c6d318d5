package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/udp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// everything returns a registry with one collector of each kind.
func everything(t testing.TB) *prometheus.Registry {
	t.Helper()
	w, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return registry(t,
		metrics.Wheel("w", w),
		metrics.Server("tcp", &tcp.Server{}),
		metrics.UDP("udp", &udp.Server{}),
		metrics.Pool("pool", func() pool.Stats { return pool.Stats{} }))
}

var metricsTable = regexp.MustCompile(`(?s)<!-- metrics -->\n(.*?)<!-- /metrics -->`)

func TestDocs_TableListsWhatIsExposed(t *testing.T) {
	text, err := os.ReadFile("../docs/observability.md")
	require.NoError(t, err)
	table := metricsTable.FindStringSubmatch(string(text))
	require.NotNil(t, table, "docs/observability.md has no table between <!-- metrics --> and <!-- /metrics -->")
	documented := make(map[string][]string) // type, unit, labels
	for line := range strings.Lines(table[1]) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 2 || !strings.Contains(cells[0], "`") {
			continue
		}
		require.Len(t, cells, 6, line)
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		require.NotContains(t, documented, cells[0])
		require.NotEmpty(t, cells[5], "the meaning of %s", cells[0])
		documented[cells[0]] = []string{cells[2], cells[3], strings.ReplaceAll(cells[4], "`", "")}
	}

	found := make(map[string][]string)
	for name, mf := range gather(t, everything(t)) {
		var labels []string
		for _, l := range mf.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		found[name] = []string{strings.ToLower(mf.GetType().String()), unitOf(name), strings.Join(labels, ", ")}
	}
	require.Equal(t, found, documented)
}

// unitOf returns the unit in a metric's name, or "".
func unitOf(name string) string {
	words := strings.Split(strings.TrimPrefix(strings.TrimSuffix(name, "_total"), "sessionwheel_"), "_")
	for _, unit := range []string{"seconds", "bytes", "sessions", "frames", "datagrams", "timers", "slots", "callbacks", "rescues", "errors", "probes"} {
		if slices.Contains(words, unit) {
			return unit
		}
	}
	return ""
}
