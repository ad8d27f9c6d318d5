package pool_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// decodeFuzzed reads the setup from the first byte and each operation from two:
// what it does, and the ID with a number.
func decodeFuzzed(data []byte) (setup modelSetup, ops []operation) {
	if len(data) == 0 {
		return setup, nil
	}
	b := int(data[0])
	setup.Idle = modelIdle([]int{3, 1, -1}[b%3])
	setup.Life = []time.Duration{0, 7500 * time.Millisecond}[b/3%2]
	setup.Max = b / 6 % 4
	setup.Replace = b/24%2 == 1
	for data = data[1:]; len(data) >= 2 && len(ops) < harness.FuzzOps; data = data[2:] {
		op := operation{Do: operationNames[int(data[0])%len(operationNames)], ID: int(data[1]) % modelIDs}
		switch n := int(data[1]) / modelIDs; op.Do {
		case "advance":
			op.N = 1 + n%5
		case "idle":
			op.N = n%7 - 1
		case "idle of all":
			op.N = []int{3, 1, -1}[n%3]
		}
		ops = append(ops, op)
	}
	return setup, ops
}

// FuzzPool compares the pool with the model of a plain list of sessions.
func FuzzPool(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		setup, ops := decodeFuzzed(data)
		if err := compareTraces(runOnPool(t, setup, ops), runOnModel(setup, ops)); err != nil {
			t.Fatalf("%v\n%+v\n%+v", err, setup, ops)
		}
	})
}

// With the inputs in testdata, sessions end in every possible way.
func TestCorpus_OfFuzzPoolReachesEveryEnd(t *testing.T) {
	ends, results := make(map[pool.Reason]int), make(map[string]int)
	for _, data := range harness.Corpus(t, "FuzzPool") {
		tr := runOnModel(decodeFuzzed(data))
		for _, end := range tr.Ends {
			ends[end.Reason]++
		}
		for _, r := range tr.Results {
			what, _, _ := strings.Cut(r, ",")
			results[what]++
		}
	}
	for _, r := range []pool.Reason{pool.Timeout, pool.Lifetime, pool.Replaced, pool.Shutdown, "Bye", "Kicked", "Follows", "Refused"} {
		require.NotZero(t, ends[r], "no session ended with %s", r)
	}
	for _, r := range []string{"true", "false", pool.ErrDuplicateID.Error(), pool.ErrFull.Error()} {
		require.NotZero(t, results[r], "no operation reported %s", r)
	}
}
