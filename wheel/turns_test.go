package wheel

import (
	"testing"
	"testing/synctest"
	"time"
)

// Each border of a coarse slot is a tick at which all that lies in the slot is
// placed again. With more shards than level 1 has slots, some must share one.
func TestPhase_KeepsTheCoarseSlotsOfShardsApart(t *testing.T) {
	t.Parallel() // beside the test that waits for its process
	const span = 2 * levelSlots * levelSlots
	for n := 8; n <= 256; n *= 2 {
		w := &Wheel{tick: defaultTick}
		type border struct {
			level int
			tick  int64
		}
		up := make(map[border]map[int]bool) // the shards that have such a slot
		for i := range n {
			s := &shard{wheel: w, phase: phase(i, n)}
			s.slots.settle(s.floor(0))
			for due := int64(1); due < span; due += levelSlots / 4 {
				e := new(Entry)
				at := s.wheelTick(s.slots.insert(e, s.ceil(time.Duration(due)*defaultTick)))
				level := (int(e.slot.Load()) - 1) / levelSlots
				s.slots.remove(e)
				if level == 0 {
					continue
				}
				b := border{level, at}
				if up[b] == nil {
					up[b] = make(map[int]bool)
				}
				up[b][i] = true
			}
		}
		if len(up) < n {
			t.Fatalf("%d shards have %d coarse slots", n, len(up))
		}
		for b, shards := range up {
			most := 1
			if b.level == 1 {
				most = max(1, n/levelSlots)
			}
			if len(shards) > most {
				t.Errorf("%d of %d shards have a slot of level %d that comes up at tick %d", len(shards), n, b.level, b.tick)
			}
		}
	}
}

// asked is an owner that notes when it was asked first, and goes on for long.
type asked struct {
	entry Entry
	due   time.Duration
	note  func(*asked)
	shard int
}

func (a *asked) Expire(now time.Duration) time.Duration {
	if now < a.due {
		return a.due
	}
	a.note(a)
	return now + time.Hour
}

func (a *asked) Fire(_, _ time.Duration) {}

// A slot with many entries in one shard comes up together with one entry in each
// of the others.
func TestDriver_TakesABatchOfEachShardInTurn(t *testing.T) {
	const many = 10_000
	for _, crowded := range []int{0, 3, 7} {
		synctest.Test(t, func(t *testing.T) {
			w, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			withoutPhases(w)
			var order []int // the shards of those who were asked; the driver's own
			arm := func(shard int) {
				a := &asked{due: 30 * defaultTick, shard: shard, note: func(a *asked) { order = append(order, a.shard) }}
				w.Init(&a.entry, a)
				a.entry.shard = uint16(shard) + 1
				if w.Arm(&a.entry, 0, a.due) {
					w.Wake()
				}
			}
			for range many {
				arm(crowded)
			}
			for i := range w.shards {
				if i != crowded {
					arm(i)
				}
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if want := many + len(w.shards) - 1; len(order) != want {
				t.Fatalf("%d entries were asked; %d were due", len(order), want)
			}
			before := 0 // entries of the crowded shard
			for _, shard := range order {
				if shard == crowded {
					before++
				} else if before > takeAtMost {
					t.Errorf("%d entries of shard %d were asked before the one of shard %d", before, crowded, shard)
				}
			}
		})
	}
}
