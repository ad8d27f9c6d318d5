package load

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLatencies_OfAllConnectionsAreMerged(t *testing.T) {
	l := newLatencies()
	for n := range 100 {
		l.record(n, time.Duration(n+1)*time.Millisecond)
	}
	l.record(3, time.Hour) // beyond its range: counted as the longest
	h := l.merged()
	require.EqualValues(t, 101, h.TotalCount())
	require.InDelta(t, 50*time.Millisecond, h.ValueAtQuantile(49.5), float64(time.Millisecond))
	require.InDelta(t, longest, h.Max(), float64(longest)/500)
}
