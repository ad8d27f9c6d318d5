package wheel_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

const fuzzTimers = 6

var fuzzNames = []string{
	"Reset", "Extend", "Sleep", "Stop", "ResetTo", "Again", "Extend", "Sleep", "Reset", "Again", "Close", "CloseInside",
}

// decodeFuzzed reads the tick from the first byte and each call from three.
func decodeFuzzed(data []byte) (tick time.Duration, calls []modelCall) {
	if len(data) == 0 {
		return time.Millisecond, nil
	}
	tick = []time.Duration{time.Millisecond, 10 * time.Millisecond, 7*time.Millisecond + 1}[data[0]%3]
	for data = data[1:]; len(data) >= 3 && len(calls) < harness.FuzzOps; data = data[3:] {
		b := int(data[0])
		c := modelCall{name: fuzzNames[b%len(fuzzNames)], timer: b / len(fuzzNames) % fuzzTimers}
		switch c.name {
		case "Reset", "ResetTo", "Extend", "Again":
			c.d = fuzzedDuration(tick, data[1], data[2])
		case "Sleep": // what is too long to wait for becomes short
			c.d = fuzzedDuration(tick, max(data[1], fuzzExtremes), data[2])
		}
		calls = append(calls, c)
	}
	return tick, calls
}

// fuzzExtremes is how many values of the first byte of a duration stand
// for extreme ones.
const fuzzExtremes = 12

// fuzzedDuration returns an extreme duration, one at the edge of a level, or some
// hundredths of a tick.
func fuzzedDuration(tick time.Duration, a, b byte) time.Duration {
	switch {
	case a < fuzzExtremes:
		return []time.Duration{0, -1, math.MinInt64, longest, longest - 1, longest / 4}[a%6]
	case a < 128:
		ticks := []time.Duration{1, 2, 63, 64, 65, 128, 4095, 4096, 4097, 8192, 262_144}
		return ticks[int(a)%len(ticks)]*tick + time.Duration(b%3) - 1
	default:
		return (1 + time.Duration(a-128)<<8 + time.Duration(b)) * tick / 100
	}
}

// FuzzWheel compares the wheel with the model of a sorted list.
func FuzzWheel(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		tick, calls := decodeFuzzed(data)
		if err := compareToList(runOnWheel(t, tick, fuzzTimers, calls), tick, calls); err != nil {
			t.Fatalf("tick %v: %v\n%v", tick, err, calls)
		}
	})
}

// The inputs in testdata make every call, and an arming ends in every possible
// way.
func TestCorpus_OfFuzzWheelReachesEveryEnd(t *testing.T) {
	names, reported, ran, extended, again := make(map[string]int), 0, 0, 0, 0
	for _, data := range harness.Corpus(t, "FuzzWheel") {
		tick, calls := decodeFuzzed(data)
		model := newSortedList(tick)
		for _, c := range calls {
			armed := len(model.again)
			seen := model.do(c)
			names[c.name]++
			ran += len(seen.ran)
			switch {
			case c.name == "Extend" && seen.reported:
				extended++
			case seen.reported:
				reported++
			}
			if len(model.again) < armed && c.name == "Sleep" {
				again++
			}
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(fuzzNames))) {
		require.NotZero(t, names[name], "no input calls %s", name)
	}
	require.NotZero(t, ran)
	require.NotZero(t, extended)
	require.NotZero(t, reported)
	require.NotZero(t, again, "no callback armed its own timer")
}
