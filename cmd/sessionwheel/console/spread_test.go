package console

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpread_QuantilesAreNearestRank(t *testing.T) {
	var s Spread
	require.Zero(t, s.At(0.5))
	for i := 100; i > 0; i-- {
		s = append(s, time.Duration(i))
	}
	require.EqualValues(t, 1, s.At(0))
	require.EqualValues(t, 50, s.At(0.5))
	require.EqualValues(t, 99, s.At(0.99))
	require.EqualValues(t, 100, s.At(1))
	require.EqualValues(t, 7, Spread{7}.At(0.99))
}

func TestHistogram_ShowsEveryValueOnce(t *testing.T) {
	ms := time.Millisecond
	var out bytes.Buffer
	Spread{0, ms - 1, ms, 3 * ms, 3 * ms, 3 * ms, 3 * ms, 30 * ms, time.Hour}.Histogram(NewScreen(&out))
	require.Equal(t, []string{
		"under 1ms  ####################                     2",
		"1ms to 2ms  ##########                               1",
		"2ms to 5ms  ######################################## 4",
		"5ms to 10ms                                           0",
		"10ms to 20ms                                           0",
		"20ms to 50ms  ##########                               1",
		"50ms to 100ms                                           0",
		"100ms to 200ms                                           0",
		"200ms to 500ms                                           0",
		"500ms to 1s                                           0",
		"1s to 2s                                           0",
		"2s to 5s                                           0",
		"over 5s  ##########                               1",
	}, trimmed(out.String()))

	out.Reset()
	Spread{}.Histogram(NewScreen(&out))
	require.Empty(t, out.String())

	out.Reset()
	s := Spread{30 * ms}
	for range 1000 {
		s = append(s, 0)
	}
	s.Histogram(NewScreen(&out))
	require.Contains(t, out.String(), "20ms to 50ms  .  ", "few is not none")
}

func trimmed(text string) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimLeft(l, " ")
	}
	return lines
}
