package grafana_test

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
)

// fires reports whether a rule that is evaluated once per interval fires within
// twenty minutes, which it does if one of its series exists for the rule's For.
func fires(t testing.TB, s store, e *promql.Engine, r rulefmt.Rule) bool {
	t.Helper()
	begin := time.Unix(0, 0)
	for _, series := range s.query(t, e, r.Expr, begin, begin.Add(20*time.Minute), interval) {
		var since int64 // when the series came that is there now
		for i, p := range series.Floats {
			if i == 0 || p.T-series.Floats[i-1].T > interval.Milliseconds() {
				since = p.T
			}
			if time.Duration(p.T-since)*time.Millisecond >= time.Duration(r.For) {
				return true
			}
		}
	}
	return false
}
