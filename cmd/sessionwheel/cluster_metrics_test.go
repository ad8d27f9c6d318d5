package main

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
)

func TestTheNodesMetricsAreWellNamedAndOthersHaveNone(t *testing.T) {
	t.Parallel()
	p, _, _ := firstNode(t, "a", "--http", "0")
	_, body := get(t, pageOf(p)+"metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	for _, problem := range problems {
		require.NotContains(t, problem.Metric, "cluster", problem.Text)
	}
	require.Equal(t, 3, strings.Count(body, "\n# HELP sessionwheel_cluster_"))
	p, _ = serving(t, "--http", "0")
	_, body = get(t, pageOf(p)+"metrics")
	require.NotContains(t, body, "sessionwheel_cluster_")
}
