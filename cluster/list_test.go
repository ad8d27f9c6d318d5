package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// replicated is a stream with replicas that lag behind, each as far as it likes. Between any
// two requests others write entries again.
type replicated struct {
	rand     *rand.Rand
	writes   []string // the keys in the order of their revisions; the first has revision 1
	replicas []int    // how many of the writes each one has
	keys     []string
}

// goOn writes some entries again and lets the replicas catch up a little.
func (s *replicated) goOn() {
	for range s.rand.IntN(2 * len(s.keys)) {
		s.writes = append(s.writes, s.keys[s.rand.IntN(len(s.keys))])
	}
	for i, has := range s.replicas {
		s.replicas[i] = has + s.rand.IntN(len(s.writes)-has+1)
	}
}

// lives reports whether the entry with a revision is still there when a number of writes have
// been executed.
func (s *replicated) lives(rev, executed int) bool {
	for _, later := range s.writes[rev:executed] {
		if later == s.writes[rev-1] {
			return false
		}
	}
	return true
}

func (s *replicated) getFrom(_ context.Context, from uint64, f func(string, kvEntry) bool) (end bool, err error) {
	s.goOn()
	has, batch := s.replicas[s.rand.IntN(len(s.replicas))], 1+s.rand.IntN(len(s.keys))
	for rev := int(from); rev <= has; rev++ {
		if !s.lives(rev, has) {
			continue
		}
		if batch == 0 || !f(s.writes[rev-1], kvEntry{rev: uint64(rev), live: true}) {
			return false, nil
		}
		batch--
	}
	return true, nil
}

func (s *replicated) lastRevision(context.Context) (uint64, error) {
	s.goOn()
	return uint64(len(s.writes)), nil
}

func (s *replicated) noneAfter(_ context.Context, rev uint64) bool {
	s.goOn()
	return rev >= uint64(len(s.writes))
}

// Each key has an entry all the time.
func TestScan_MissesNothingThoughReplicasLagAndOthersWrite(t *testing.T) {
	for seed := range uint64(20_000) {
		s := &replicated{rand: rand.New(rand.NewPCG(seed, 0)), replicas: make([]int, 3)}
		for i := range 1 + s.rand.IntN(8) {
			s.keys = append(s.keys, fmt.Sprint("key", i))
		}
		s.writes = append(s.writes, s.keys...)
		for i := range s.replicas {
			s.replicas[i] = len(s.writes)
		}
		synctest.Test(t, func(t *testing.T) {
			seen := make(map[string]bool)
			err := scan(t.Context(), s, func(key string, _ kvEntry) bool {
				seen[key] = true
				return true
			})
			if err != nil || len(seen) != len(s.keys) {
				t.Fatalf("seed %d: saw %d of %d keys: %v", seed, len(seen), len(s.keys), err)
			}
		})
	}
}
