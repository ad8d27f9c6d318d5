package sessionwheel_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

// fuzzOps bounds the operations that a fuzzed input stands for: what is longer
// only repeats.
const fuzzOps = 64

// poolFuzzed reads the setup from the first byte and each operation from two:
// what it does, and the ID with a number.
func poolFuzzed(data []byte) (setup poolSetup, ops []poolOp) {
	if len(data) == 0 {
		return setup, nil
	}
	b := int(data[0])
	setup.Idle = poolModelIdle([]int{3, 1, -1}[b%3])
	setup.Life = []time.Duration{0, 7500 * time.Millisecond}[b/3%2]
	setup.Max = b / 6 % 4
	setup.Replace = b/24%2 == 1
	for data = data[1:]; len(data) >= 2 && len(ops) < fuzzOps; data = data[2:] {
		op := poolOp{Do: poolDoes[int(data[0])%len(poolDoes)], ID: int(data[1]) % poolModelIDs}
		switch n := int(data[1]) / poolModelIDs; op.Do {
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
		setup, ops := poolFuzzed(data)
		if err := poolDiffer(poolModelRun(t, setup, ops), poolModelTrace(setup, ops)); err != nil {
			t.Fatalf("%v\n%+v\n%+v", err, setup, ops)
		}
	})
}

// The inputs that are kept for FuzzPool lead to all that may become of a session.
func TestTheInputsOfFuzzPoolReachEveryEnd(t *testing.T) {
	ends, results := make(map[pool.Reason]int), make(map[string]int)
	for _, data := range fuzzCorpus(t, "FuzzPool") {
		tr := poolModelTrace(poolFuzzed(data))
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

// fuzzCorpus reads the inputs of a fuzz target whose argument is a []byte.
func fuzzCorpus(t *testing.T, target string) (inputs [][]byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
	require.NoError(t, err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		_, quoted, ok := strings.Cut(string(text), "[]byte(")
		require.True(t, ok, name)
		data, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(quoted), ")"))
		require.NoError(t, err, name)
		inputs = append(inputs, []byte(data))
	}
	return inputs
}
