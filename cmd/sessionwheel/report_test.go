package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantilesAreNearestRank(t *testing.T) {
	var s spread
	require.Zero(t, s.at(0.5))
	for i := 100; i > 0; i-- {
		s = append(s, time.Duration(i))
	}
	require.EqualValues(t, 1, s.at(0))
	require.EqualValues(t, 50, s.at(0.5))
	require.EqualValues(t, 99, s.at(0.99))
	require.EqualValues(t, 100, s.at(1))
	require.EqualValues(t, 7, spread{7}.at(0.99))
}

func TestHistogramShowsEveryValueOnce(t *testing.T) {
	ms := time.Millisecond
	var out bytes.Buffer
	spread{0, ms - 1, ms, 3 * ms, 3 * ms, 3 * ms, 3 * ms, 30 * ms, time.Hour}.histogram(newScreen(&out))
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
	spread{}.histogram(newScreen(&out))
	require.Empty(t, out.String())

	out.Reset()
	s := spread{30 * ms}
	for range 1000 {
		s = append(s, 0)
	}
	s.histogram(newScreen(&out))
	require.Contains(t, out.String(), "20ms to 50ms  .  ", "few is not none")
}

func trimmed(text string) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimLeft(l, " ")
	}
	return lines
}

func TestNumbersAreWrittenForReaders(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567", -5000: "-5000"} {
		require.Equal(t, want, count(n))
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Nanosecond: "1µs", 1234567: "1.23ms", 12345678: "12.3ms",
		123456789: "123ms", 1234567890: "1.23s", 12345678901: "12.3s",
	} {
		require.Equal(t, want, short(d))
	}
	for b, want := range map[float64]string{0: "0.0 B", 999: "999.0 B", 1500: "1.5 kB", 2.5e6: "2.5 MB", 3e9: "3.0 GB", 4e12: "4000.0 GB"} {
		require.Equal(t, want, size(b))
	}
	require.Equal(t, "1 client", plural(1, "client"))
	require.Equal(t, "2,000 clients", plural(2000, "client"))
}

func TestALiveLineIsRedrawnAndPlainOnesAreNot(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	s.progress("one")
	s.progress("two") // within the same second
	s.separate()
	s.printf("done")
	require.Equal(t, "one\n\ndone\n", out.String())

	out.Reset()
	s = newScreen(&out)
	s.live, s.fd = true, -1
	s.progress("one")
	s.progress(strings.Repeat("x", 200))
	s.printf("done")
	require.Equal(t, "\rone\x1b[K\r"+strings.Repeat("x", 79)+"\x1b[K\r\x1b[Kdone\n", out.String())
}

func TestColorIsOnlyWhereItIsWanted(t *testing.T) {
	s := newScreen(&bytes.Buffer{})
	require.Equal(t, "x", s.paint(red, "x"))
	s.color = true
	require.Equal(t, red+"x"+plain, s.paint(red, "x"))
}

func TestABarHasAlwaysItsWidth(t *testing.T) {
	s := newScreen(&bytes.Buffer{})
	require.Equal(t, "##--", s.bar(5, 5, 10, 4))
	require.Equal(t, "#   ", s.bar(3, 0, 10, 4))
	require.Equal(t, "####", s.bar(30, 5, 10, 4))
	require.Equal(t, "    ", s.bar(1, 1, 0, 4))
}

func TestLatenciesOfAllConnectionsAreMerged(t *testing.T) {
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
