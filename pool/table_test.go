package pool

import (
	"math/rand/v2"
	"testing"
)

type nothing struct{}

func (nothing) Close() error { return nil }

// A table beside a map, with hashes of which many lie at the same places, at the end
// of the table too.
func TestTable_HoldsWhatAMapDoes(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 0))
		bits := rng.IntN(12)
		hashOf := func(id int) uint32 { return (uint32(id)*2654435761>>20<<bits | uint32(1<<bits-1)) | usedHash }
		var table table[int, nothing]
		held := make(map[int]*Session[int, nothing])
		grow := true
		for range 10_000 {
			id := rng.IntN(400)
			switch s := held[id]; {
			case s == nil && (grow || rng.IntN(4) == 0):
				s = &Session[int, nothing]{id: id, hash: hashOf(id)}
				table.add(s)
				held[id] = s
			case s != nil && (!grow || rng.IntN(4) == 0):
				if !table.remove(s) || table.remove(s) {
					t.Fatalf("seed %d: a session was not removed once", seed)
				}
				delete(held, id)
			}
			if rng.IntN(1500) == 0 {
				grow = !grow
			}
			other := rng.IntN(400)
			if got := table.find(hashOf(other), other); got != held[other] {
				t.Fatalf("seed %d: found %v for %d", seed, got, other)
			}
			if table.remove(&Session[int, nothing]{id: other, hash: hashOf(other)}) {
				t.Fatalf("seed %d: another session with the ID was removed", seed)
			}
			if table.n != len(held) || table.n > len(table.hashes) || len(held) == 0 && len(table.hashes) > minPlaces {
				t.Fatalf("seed %d: %d of %d sessions in %d places", seed, table.n, len(held), len(table.hashes))
			}
			if places := len(table.hashes); places > 4*minPlaces && places > 8*(table.n+1) {
				t.Fatalf("seed %d: %d places for %d sessions", seed, places, table.n)
			}
		}
		all := table.appendTo(nil, len(held))
		for _, s := range all {
			if held[s.id] != s {
				t.Fatalf("seed %d: a session that is not held", seed)
			}
			delete(held, s.id)
		}
		if len(held) != 0 {
			t.Fatalf("seed %d: %d sessions were not listed", seed, len(held))
		}
	}
}
