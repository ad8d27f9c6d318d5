package top

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// at is a bound of a bucket.
func at(s float64) *float64 { return &s }

func TestLateness_AQuantileIsTheLeastBoundThatTheShareLiesAtOrBelow(t *testing.T) {
	buckets := []bucket{{at(0.2), 1}, {nil, 1}, {at(0.1), 2}} // in any order
	for q, want := range map[float64]time.Duration{
		0: 100 * time.Millisecond, 0.5: 100 * time.Millisecond, 0.51: 200 * time.Millisecond, 0.75: 200 * time.Millisecond, 1: math.MaxInt64,
	} {
		got, ok := quantile(buckets, q)
		require.True(t, ok)
		require.Equal(t, want, got, "%v", q)
	}
	_, ok := quantile([]bucket{{at(0.1), 0}}, 0.5)
	require.False(t, ok, "nothing was counted")
}

func TestLateness_RecentIsWhatWasCountedSince(t *testing.T) {
	before := lateness{Buckets: []bucket{{at(0.1), 5}, {at(0.2), 7}, {nil, 1}}}
	now := lateness{Buckets: []bucket{{at(0.05), 2}, {at(0.1), 5}, {at(0.2), 10}, {nil, 2}}}
	require.Equal(t, []bucket{{at(0.05), 2}, {at(0.2), 3}, {nil, 1}}, now.since(before))
	require.Empty(t, now.since(now))
}
