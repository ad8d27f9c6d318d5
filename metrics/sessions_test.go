package metrics_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/udp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// nothing is a connection whose Close does nothing.
type nothing struct{}

func (nothing) Close() error { return nil }

func TestPool_OfAnyTypeIsExposed(t *testing.T) {
	p, err := pool.New(pool.Config[string, nothing]{MaxSessions: 2})
	require.NoError(t, err)
	reg := registry(t, metrics.Pool("games", p.Stats))
	for _, id := range []string{"a", "b", "b", "c"} { // the second b is a duplicate, and c is too many
		_, _ = p.Register(id, nothing{})
	}
	require.True(t, p.CloseSession("a", "checkmate"))
	require.NoError(t, p.Shutdown(t.Context()))
	_, err = p.Register("late", nothing{})
	require.ErrorIs(t, err, pool.ErrPoolClosed)

	require.Equal(t, map[string]float64{
		`sessionwheel_sessions_open{server="games"}`:                             0,
		`sessionwheel_sessions_registered_total{server="games"}`:                 2,
		`sessionwheel_sessions_closed_total{reason="Closed", server="games"}`:    0,
		`sessionwheel_sessions_closed_total{reason="Lifetime", server="games"}`:  0,
		`sessionwheel_sessions_closed_total{reason="Replaced", server="games"}`:  0,
		`sessionwheel_sessions_closed_total{reason="Shutdown", server="games"}`:  1,
		`sessionwheel_sessions_closed_total{reason="Timeout", server="games"}`:   0,
		`sessionwheel_sessions_closed_total{reason="checkmate", server="games"}`: 1,
		`sessionwheel_sessions_refused_total{cause="closed", server="games"}`:    1,
		`sessionwheel_sessions_refused_total{cause="duplicate", server="games"}`: 1,
		`sessionwheel_sessions_refused_total{cause="full", server="games"}`:      1,
		`sessionwheel_sessions_refused_total{cause="unclaimed", server="games"}`: 0,
	}, gather(t, reg).series())
}

func TestReason_IsChangedToWhatALabelCanHold(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reason pool.Reason
		label  string
	}{
		{"as it is", `say "no" \ or`, `say "no" \ or`},
		{"another script", "空闲", "空闲"},
		{"no text", "", "(none)"},
		{"no UTF-8", "bad\xff\xfe!", "bad\uFFFD!"},
		{"nothing but that", "\xff", "\uFFFD"},
		{"128 bytes", pool.Reason(strings.Repeat("x", 128)), strings.Repeat("x", 128)},
		{"more", pool.Reason(strings.Repeat("x", 1<<20)), strings.Repeat("x", 128)},
		{"cut within a letter", pool.Reason(strings.Repeat("x", 127) + "é"), strings.Repeat("x", 127) + "\uFFFD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg := registry(t, metrics.Pool("p", func() pool.Stats {
				return pool.Stats{ByReason: map[pool.Reason]uint64{tt.reason: 7}}
			}))
			for _, m := range gather(t, reg)["sessionwheel_sessions_closed_total"].Metric {
				if m.Counter.GetValue() == 7 {
					require.Equal(t, "reason", m.Label[0].GetName())
					require.Equal(t, tt.label, m.Label[0].GetValue())
					return
				}
			}
			require.Fail(t, "the reason is not shown")
		})
	}
}

func TestReason_ThatLooksLikeAnotherIsCountedWithIt(t *testing.T) {
	reg := registry(t, metrics.Pool("p", func() pool.Stats {
		return pool.Stats{ByReason: map[pool.Reason]uint64{"\xff": 1, "\xfe": 2, "\xff\xfe": 4, "\uFFFD": 8}}
	}))
	require.EqualValues(t, 15, gather(t, reg).series()["sessionwheel_sessions_closed_total{reason=\"\uFFFD\", server=\"p\"}"])
}

// Each scrape finds new reasons, which sort before the earlier ones.
func TestReason_LabelsAreBoundedAndNeverGoDown(t *testing.T) {
	p, err := pool.New(pool.Config[string, nothing]{})
	require.NoError(t, err)
	defer p.Shutdown(t.Context())
	reg := registry(t, metrics.Pool("p", p.Stats))
	before := make(map[string]float64)
	for round := 9; round > 0; round-- {
		for i := range 30 {
			s, err := p.Register(fmt.Sprint(round, " ", i), nothing{})
			require.NoError(t, err)
			s.Close(pool.Reason(fmt.Sprintf("round %d reason %d", round, i)))
		}
		now := of(gather(t, reg).series(), "sessionwheel_sessions_closed_total", "")
		require.LessOrEqual(t, len(now), 5+64+1)
		require.EqualValues(t, p.Stats().Closed, sum(now))
		for key, v := range before {
			require.GreaterOrEqual(t, now[key], v, key)
		}
		before = now
	}
	require.Len(t, before, 5+64+1)
	require.Contains(t, before, `sessionwheel_sessions_closed_total{reason="(other)", server="p"}`)
}

func TestCollectors_PassThePrometheusLinter(t *testing.T) {
	problems, err := testutil.GatherAndLint(everything(t))
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestConstructors_PanicOnNil(t *testing.T) {
	for name, f := range map[string]func(){
		"metrics: Pool: stats is nil: pass the pool's Stats method": func() { metrics.Pool("p", nil) },
		"metrics: Server: srv is nil":                               func() { metrics.Server("p", (*tcp.Server)(nil)) },
		"metrics: UDP: srv is nil":                                  func() { metrics.UDP("p", (*udp.Server)(nil)) },
		"metrics: Wheel: w is nil":                                  func() { metrics.Wheel("p", (*wheel.Wheel)(nil)) },
	} {
		require.PanicsWithValue(t, name, f)
	}
}
