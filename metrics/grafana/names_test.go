package grafana_test

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/pool"
)

// exposed returns the labels of all series that may be exposed, by name, including
// those that Prometheus adds for a target.
func exposed(t testing.TB) map[string][]string {
	t.Helper()
	reg := newBusy(t).registry
	reg.MustRegister(metrics.Pool("games", func() pool.Stats { return pool.Stats{} }))
	families, err := reg.Gather()
	require.NoError(t, err)
	names := make(map[string][]string)
	for _, mf := range families {
		all := []string{"job", "instance"}
		for _, l := range mf.Metric[0].Label {
			all = append(all, l.GetName())
		}
		names[mf.GetName()] = all
		if mf.GetType() == dto.MetricType_HISTOGRAM {
			names[mf.GetName()+"_sum"], names[mf.GetName()+"_count"] = all, all
			names[mf.GetName()+"_bucket"] = append(slices.Clone(all), "le")
		}
	}
	return names
}

// asked returns the metrics that an expression queries, each with the labels that
// are matched, and the labels by which the expression groups.
func asked(t testing.TB, expr string) (matched map[string][]string, grouped []string) {
	t.Helper()
	e, err := promQL.ParseExpr(expr)
	require.NoError(t, err, expr)
	matched = make(map[string][]string)
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			require.NotEmpty(t, n.Name, expr)
			for _, m := range n.LabelMatchers {
				if m.Name != model.MetricNameLabel {
					matched[n.Name] = append(matched[n.Name], m.Name)
				}
			}
			matched[n.Name] = append(matched[n.Name], "job") // also without a matcher
		case *parser.AggregateExpr:
			require.False(t, n.Without, "%s: what is left then can't be told from the query", expr)
			grouped = append(grouped, n.Grouping...)
		}
		return nil
	})
	require.NotEmpty(t, matched, expr)
	return matched, grouped
}

// holds fails the test if an expression queries something that is not exposed.
func holds(t testing.TB, names map[string][]string, expr string) {
	t.Helper()
	matched, grouped := asked(t, expr)
	var any []string
	for name, ls := range matched {
		require.Contains(t, names, name, expr)
		require.Subset(t, names[name], ls, "%s: labels of %s", expr, name)
		any = append(any, names[name]...)
	}
	require.Subset(t, any, grouped, expr)
}

var legendLabel = regexp.MustCompile(`{{(\w+)}}`)

func TestDashboard_QueriesWhatIsExposed(t *testing.T) {
	names := exposed(t)
	used := make(map[string]bool)
	for _, q := range queries(t, load(t)) {
		holds(t, names, q.plain())
		matched, grouped := asked(t, q.plain())
		for name := range matched {
			used[name] = true
		}
		for _, l := range legendLabel.FindAllStringSubmatch(q.legend, -1) {
			require.Contains(t, grouped, l[1], "%s: the legend of %s", q.panel, q.expr)
		}
	}
	delete(names, "sessionwheel_lateness_seconds_sum")
	delete(names, "sessionwheel_lateness_seconds_count")
	require.ElementsMatch(t, slices.Collect(maps.Keys(names)), slices.Collect(maps.Keys(used)), "every metric is shown")
}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

func TestDashboard_VariablesAreExposedLabels(t *testing.T) {
	names := exposed(t)
	checked := 0
	for _, v := range load(t).Templating.List {
		if v.Name == "datasource" {
			continue
		}
		q := labelValues.FindStringSubmatch(*v.Definition)
		require.NotNil(t, q, *v.Definition)
		require.Equal(t, *v.Definition, v.Query.Map["query"])
		require.Equal(t, v.Name, q[2])
		e, err := promQL.ParseExpr(q[1])
		require.NoError(t, err)
		matches := 0
		for name, ls := range names {
			if m := e.(*parser.VectorSelector).LabelMatchers; !slices.ContainsFunc(m, func(m *labels.Matcher) bool { return m.Name != model.MetricNameLabel || !m.Matches(name) }) {
				require.Contains(t, ls, q[2], name)
				matches++
			}
		}
		require.NotZero(t, matches, *v.Definition)
		checked++
	}
	require.Equal(t, 3, checked)
}
