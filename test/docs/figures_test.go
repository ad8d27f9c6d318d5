package docs_test

import (
	"encoding/csv"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// figure is a number of the README's table of costs: of the row that its work
// is shown by, and the median of what was measured.
type figure struct {
	shownBy, text                      string
	work, size, implementation, metric string
	show                               func(median float64) string
}

func TestFigures_OfTheReadmeAreTheMedianOfTheMeasured(t *testing.T) {
	rows := make(map[string]string) // by what shows them
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		for line := range strings.Lines(page(t, name)) {
			cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "¦"), "|")
			if len(cells) == 6 {
				rows[name+strings.Trim(cells[4], " `")] = line
			}
		}
	}
	measured := results(t)
	for _, f := range []figure{
		{"touch", "%s ns", "touch", "1000000", "sessionwheel", "ns/op", whole},
		{"touch", "%s ns", "touch", "1000000", "time.Timer", "ns/op", whole},
		{"touch", "%s ns", "touch", "1000000", "plain", "ns/op", whole},
		{"touch", "%s ns", "touch", "1000000", "sweep", "ns/op", whole},
		{"register-close", "%s ns", "register-close", "1000000", "sessionwheel", "ns/op", whole},
		{"register-close", "%s ns", "register-close", "1000000", "time.Timer", "ns/op", whole},
		{"register-close", "%s ns", "register-close", "1000000", "sweep", "ns/op", whole},
		{"memory", "%s ", "memory", "1000000", "sessionwheel", "bytes/session", whole},
		{"memory", "%s ", "memory", "1000000", "time.Timer", "bytes/session", whole},
		{"memory", "%s ", "memory", "1000000", "sweep", "bytes/session", whole},
		{"lateness", "%s ", "lateness", "20000", "sessionwheel", "p99 ms", whole},
		{"lateness", "%s ", "lateness", "20000", "sweep", "p99 ms", whole},
		{"lateness", "%s ", "lateness", "20000", "time.Timer", "p99 ms", whole},
		{"lateness", "%s ", "lateness", "20000", "plain", "earliest ms", func(v float64) string { return whole(-v) }},
		{"'^echo$¦idle-con'", "%s ", "echo", "0", "sessionwheel", "frames/s", whole},
		{"'^echo$¦idle-con'", "%s ", "echo", "0", "net+deadline", "frames/s", whole},
		{"'^echo$¦idle-con'", "%s ", "echo", "0", "gnet", "frames/s", whole},
		{"'^echo$¦idle-con'", "%s KB", "idle-connections", "9000", "sessionwheel", "bytes/connection", kilo},
		{"'^echo$¦idle-con'", "%s KB", "idle-connections", "9000", "net+deadline", "bytes/connection", kilo},
		{"'^echo$¦idle-con'", "%s KB", "idle-connections", "9000", "gnet", "bytes/connection", kilo},
	} {
		values := measured[strings.Join([]string{f.work, f.size, f.implementation, f.metric}, ",")]
		require.NotEmpty(t, values, "%+v", f)
		want := strings.ReplaceAll(f.text, "%s", f.show(median(values)))
		for _, name := range []string{"README.md", "README.zh-CN.md"} {
			require.Contains(t, rows, name+f.shownBy)
			require.Contains(t, strings.ReplaceAll(rows[name+f.shownBy], "|", " "), " "+want, "%s: the row of %s: %s beside %s",
				name, f.shownBy, f.metric, f.implementation)
		}
	}
}

// whole is a number without a fraction, as the README has it.
func whole(v float64) string {
	text := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	if len(text) > 3 {
		text = text[:len(text)-3] + "," + text[len(text)-3:]
	}
	return text
}

// kilo is a number of bytes in kilobytes.
func kilo(v float64) string { return strconv.FormatFloat(v/1000, 'f', 1, 64) }

// results are the figures of docs/bench/results.csv, by work, size,
// implementation and metric.
func results(t *testing.T) map[string][]float64 {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(page(t, "docs/bench/results.csv"))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"workload", "size", "round", "implementation", "metric", "value", "note"}, records[0])
	found := make(map[string][]float64)
	for _, r := range records[1:] {
		if v, err := strconv.ParseFloat(r[5], 64); err == nil { // a measurement that failed has a note
			key := strings.Join([]string{r[0], r[1], r[3], r[4]}, ",")
			found[key] = append(found[key], v)
		}
	}
	return found
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
