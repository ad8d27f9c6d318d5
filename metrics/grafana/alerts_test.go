package grafana_test

import (
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/stretchr/testify/require"
)

const (
	alertsFile = "../../docs/grafana/alerts.yaml"
	docsFile   = "../../docs/observability.md"
)

// alerts returns the rules of the rule file, parsed as Prometheus does, by alert.
func alerts(t testing.TB) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alertsFile, false, model.LegacyValidation, promQL, slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	rules := make(map[string]rulefmt.Rule)
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			require.NotEmpty(t, r.Alert)
			require.NotContains(t, rules, r.Alert)
			rules[r.Alert] = r
		}
	}
	require.NotEmpty(t, rules)
	return rules
}

var alertLabel = regexp.MustCompile(`\$labels\.(\w+)`)

func TestAlert_QueriesWhatIsExposed(t *testing.T) {
	names := exposed(t)
	for name, r := range alerts(t) {
		holds(t, names, r.Expr)
		matched, grouped := asked(t, r.Expr)
		have := grouped
		if len(grouped) == 0 {
			for metric := range matched {
				have = append(have, names[metric]...)
			}
		}
		for _, text := range r.Annotations {
			for _, l := range alertLabel.FindAllStringSubmatch(text, -1) {
				require.Contains(t, have, l[1], "%s: %s", name, text)
			}
		}
		require.NotEmpty(t, r.Annotations["summary"], name)
		require.NotEmpty(t, r.Annotations["description"], name)
		require.Contains(t, []string{"info", "warning", "critical"}, r.Labels["severity"], name)
	}
}

func TestAlert_IsExplainedInTheDocs(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	require.NoError(t, err)
	documented := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `(Sessionwheel\\w+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = true
	}
	rules := make(map[string]bool)
	for name := range alerts(t) {
		rules[name] = true
	}
	require.Equal(t, rules, documented)
}

// interval is the time between evaluations of the rules and between samples.
const interval = 15 * time.Second

// Each series has 80 samples after the first, which is twenty minutes.
var cases = []struct {
	alert  string
	name   string
	series string
	fires  bool
}{
	{"SessionwheelCallbacksWait", "they wait for good", `sessionwheel_callbacks_waiting{wheel="w"} 0x40 3x40`, true},
	{"SessionwheelCallbacksWait", "a storm is over soon", `sessionwheel_callbacks_waiting{wheel="w"} 0x40 900x2 0x40`, false},
	{"SessionwheelCallbacksWait", "storms come and go", `sessionwheel_callbacks_waiting{wheel="w"} 0 9 9 0 9 9 9 0 9 9 0 9 9 9 0`, false},
	{"SessionwheelLate", "native: some of a hundred are a second late", `sessionwheel_lateness_seconds{wheel="w"} {{schema:2 count:100 sum:4 offset:-22 buckets:[97 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 3]}}+{{schema:2 count:100 sum:4 offset:-22 buckets:[97 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 3]}}x80`, true},
	{"SessionwheelLate", "native: all within 22 ms", `sessionwheel_lateness_seconds{wheel="w"} {{schema:2 count:100 sum:2 offset:-22 buckets:[100]}}+{{schema:2 count:100 sum:2 offset:-22 buckets:[100]}}x80`, false},
	{"SessionwheelLate", "native: nothing fires", `sessionwheel_lateness_seconds{wheel="w"} {{schema:2 count:100 sum:200 offset:5 buckets:[100]}}x80`, false},
	{"SessionwheelLate", "classic: some of a hundred are a second late", `
		sessionwheel_lateness_seconds_bucket{wheel="w", le="0.015625"} 0+97x80
		sessionwheel_lateness_seconds_bucket{wheel="w", le="0.5"} 0+97x80
		sessionwheel_lateness_seconds_bucket{wheel="w", le="1.0"} 0+100x80
		sessionwheel_lateness_seconds_bucket{wheel="w", le="+Inf"} 0+100x80`, true},
	{"SessionwheelLate", "classic: all within 16 ms", `
		sessionwheel_lateness_seconds_bucket{wheel="w", le="0.015625"} 0+100x80
		sessionwheel_lateness_seconds_bucket{wheel="w", le="1.0"} 0+100x80
		sessionwheel_lateness_seconds_bucket{wheel="w", le="+Inf"} 0+100x80`, false},
	{"SessionwheelRescued", "once", `sessionwheel_rescues_total{wheel="w"} 0x40 1x40`, true},
	{"SessionwheelRescued", "long ago", `sessionwheel_rescues_total{wheel="w"} 5x80`, false},
	{"SessionwheelLibraryDisabled", "disabled", `sessionwheel_library_disabled{wheel="w"} 0x40 1x40`, true},
	{"SessionwheelLibraryDisabled", "not", `sessionwheel_library_disabled{wheel="w"} 0x80`, false},
	{"SessionwheelFull", "one in a while", `sessionwheel_sessions_refused_total{server="s", cause="full"} 0x20 1+1x60`, true},
	{"SessionwheelFull", "once", `sessionwheel_sessions_refused_total{server="s", cause="full"} 0x20 1x60`, false},
	{"SessionwheelFull", "for another cause", `sessionwheel_sessions_refused_total{server="s", cause="per_ip"} 0+10x80`, false},
	{"SessionwheelAcceptErrors", "again and again", `sessionwheel_accept_errors_total{server="s"} 0+1x80`, true},
	{"SessionwheelAcceptErrors", "none", `sessionwheel_accept_errors_total{server="s"} 7x80`, false},
}

func TestAlert_FiresForABadSeriesAndNotForAGoodOne(t *testing.T) {
	rules := alerts(t)
	e := newEngine(t)
	type tried struct{ good, bad bool }
	seen := make(map[string]tried)
	for _, tt := range cases {
		t.Run(tt.alert+": "+tt.name, func(t *testing.T) {
			s := make(store)
			s.load(t, interval, strings.Split(strings.TrimSpace(tt.series), "\n")...)
			require.Equal(t, tt.fires, fires(t, s, e, rules[tt.alert]))
		})
		was := seen[tt.alert]
		seen[tt.alert] = tried{was.good || !tt.fires, was.bad || tt.fires}
	}
	for name := range rules {
		require.Equal(t, tried{true, true}, seen[name], "cases for %s", name)
	}
}
