package sessionwheel_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const wheelFuzzTimers = 6

var wheelFuzzNames = []string{
	"Reset", "Extend", "Sleep", "Stop", "ResetTo", "Again", "Extend", "Sleep", "Reset", "Again", "Close", "CloseInside",
}

// wheelFuzzed reads the tick from the first byte and each call from three.
func wheelFuzzed(data []byte) (tick time.Duration, calls []wheelCall) {
	if len(data) == 0 {
		return time.Millisecond, nil
	}
	tick = []time.Duration{time.Millisecond, 10 * time.Millisecond, 7*time.Millisecond + 1}[data[0]%3]
	for data = data[1:]; len(data) >= 3 && len(calls) < fuzzOps; data = data[3:] {
		b := int(data[0])
		c := wheelCall{name: wheelFuzzNames[b%len(wheelFuzzNames)], timer: b / len(wheelFuzzNames) % wheelFuzzTimers}
		switch c.name {
		case "Reset", "ResetTo", "Extend", "Again":
			c.d = wheelFuzzedDuration(tick, data[1], data[2])
		case "Sleep": // what is too long to wait for becomes short
			c.d = wheelFuzzedDuration(tick, max(data[1], wheelFuzzExtremes), data[2])
		}
		calls = append(calls, c)
	}
	return tick, calls
}

// wheelFuzzExtremes is how many values of the first byte of a duration stand
// for extreme ones.
const wheelFuzzExtremes = 12

// wheelFuzzedDuration is extreme, at the edge of a level, or some hundredths of
// a tick.
func wheelFuzzedDuration(tick time.Duration, a, b byte) time.Duration {
	switch {
	case a < wheelFuzzExtremes:
		return []time.Duration{0, -1, math.MinInt64, wheelForever, wheelForever - 1, wheelForever / 4}[a%6]
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
		tick, calls := wheelFuzzed(data)
		if err := wheelDiffer(wheelDoes(t, tick, wheelFuzzTimers, calls), tick, calls); err != nil {
			t.Fatalf("tick %v: %v\n%v", tick, err, calls)
		}
	})
}

// The inputs that are kept for FuzzWheel lead to all that may become of an
// arming, and make every call.
func TestTheInputsOfFuzzWheelReachEveryEnd(t *testing.T) {
	names, reported, ran, extended, again := make(map[string]int), 0, 0, 0, 0
	for _, data := range fuzzCorpus(t, "FuzzWheel") {
		tick, calls := wheelFuzzed(data)
		model := newWheelList(tick)
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
	for _, name := range slices.Compact(slices.Sorted(slices.Values(wheelFuzzNames))) {
		require.NotZero(t, names[name], "no input calls %s", name)
	}
	require.NotZero(t, ran)
	require.NotZero(t, extended)
	require.NotZero(t, reported)
	require.NotZero(t, again, "no callback armed its own timer")
}
