package grafana_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	prom "github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/stretchr/testify/require"
)

const dashboardFile = "../../docs/grafana/sessionwheel.json"

// model1 is the model of a file that Grafana can import.
//
//lint:ignore SA1019 the newer model is for Grafana's API
type model1 = dashboard.Dashboard

// shown is a query of the dashboard and its panel.
type shown struct {
	panel  string
	unit   string
	expr   string // with the dashboard's variables
	legend string
}

// plain returns the query with values for its variables, as Grafana sends it.
func (q shown) plain() string {
	return strings.NewReplacer("$__rate_interval", "1m", "$__range", "1m", "$instance", ".*", "$server", ".*", "$wheel", ".*").Replace(q.expr)
}

// load decodes the dashboard into Grafana's own types. An unknown field is an error,
// and so is a missing one.
func load(t testing.TB) model1 {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	plugins.RegisterDefaultPlugins()
	var strict, d model1
	require.Empty(t, faults(strict.UnmarshalJSONStrict(text))) // gives up a panel for an error that says nothing
	require.NoError(t, json.Unmarshal(text, &d))
	require.Empty(t, faults(d.Validate()))
	return d
}

// faults returns what an error of Grafana's types lists, which may be nothing.
func faults(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func queries(t testing.TB, d model1) (all []shown) {
	t.Helper()
	for _, p := range d.Panels {
		if p.Panel == nil {
			continue
		}
		refs := make(map[string]bool)
		for _, target := range p.Panel.Targets {
			q, ok := target.(prom.Dataquery)
			if !ok {
				pointer, ok := target.(*prom.Dataquery)
				require.True(t, ok, "%s: a query is %T", *p.Panel.Title, target)
				q = *pointer
			}
			require.False(t, refs[*q.RefId], "%s: two queries %s", *p.Panel.Title, *q.RefId)
			refs[*q.RefId] = true
			require.Equal(t, "${datasource}", *q.Datasource.Uid)
			all = append(all, shown{*p.Panel.Title, *p.Panel.FieldConfig.Defaults.Unit, q.Expr, *q.LegendFormat})
		}
		require.NotEmpty(t, refs, *p.Panel.Title)
	}
	require.NotEmpty(t, all)
	return all
}

func TestDashboard_IsValidForGrafana(t *testing.T) {
	d := load(t)
	require.Equal(t, "sessionwheel", *d.Uid)
	require.Nil(t, d.Id, "an id belongs to one instance of Grafana")

	variables := make(map[string]dashboard.VariableModel)
	for _, v := range d.Templating.List {
		variables[v.Name] = v
	}
	require.Len(t, variables, 4)
	require.Equal(t, dashboard.VariableTypeDatasource, variables["datasource"].Type)
	for _, name := range []string{"instance", "server", "wheel"} {
		require.Equal(t, dashboard.VariableTypeQuery, variables[name].Type)
		require.Equal(t, "${datasource}", *variables[name].Datasource.Uid)
	}

	var rows []string
	ids := make(map[uint32]bool)
	type cell struct{ x, y uint32 }
	taken := make(map[cell]string)
	for _, p := range d.Panels {
		var id uint32
		var title string
		var pos dashboard.GridPos
		if row := p.RowPanel; row != nil {
			id, title, pos = row.Id, *row.Title, *row.GridPos
			rows = append(rows, title)
		} else {
			id, title, pos = *p.Panel.Id, *p.Panel.Title, *p.Panel.GridPos
			require.Equal(t, "${datasource}", *p.Panel.Datasource.Uid, title)
		}
		require.False(t, ids[id], "%s has the id of another", title)
		ids[id] = true
		require.LessOrEqual(t, pos.X+pos.W, uint32(24), title)
		for x := range pos.W {
			for y := range pos.H {
				c := cell{pos.X + x, pos.Y + y}
				require.Empty(t, taken[c], "%s lies over it", title)
				taken[c] = title
			}
		}
	}
	require.Equal(t, []string{"Sessions", "Closes by reason", "Lateness", "Wheel", "Traffic"}, rows)
}

// units maps a pattern of queries to the unit of their results.
var units = []struct{ expr, unit string }{
	{`rate\(sessionwheel_lateness_seconds\{[^}]*\}\[.*\]\)\)$`, "s"}, // the heatmap's axis
	{`^sum by \(le\)`, "s"},
	{`^histogram_quantile|tick_seconds`, "s"},
	{`_total.* / `, "percentunit"},
	{`rate\(\w*_bytes_total`, "Bps"},
	{`rate\(\w*_datagrams_total`, "pps"},
	{`rate\(`, "cps"},
	{`_bytes\{`, "bytes"},
	{``, "short"},
}

func TestDashboard_PanelsHaveTheUnitsOfTheirQueries(t *testing.T) {
	for _, q := range queries(t, load(t)) {
		for _, u := range units {
			if regexp.MustCompile(u.expr).MatchString(q.expr) {
				require.Equal(t, u.unit, q.unit, "%s: %s", q.panel, q.expr)
				break
			}
		}
	}
}

// A decoder accepts, for example, two keys of the same name. A file in canonical form
// cannot have them.
func TestDashboard_IsFormattedCanonically(t *testing.T) {
	text, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
	require.NotContains(t, string(text), "\t")
	require.True(t, strings.HasSuffix(string(text), "}\n"))
}
