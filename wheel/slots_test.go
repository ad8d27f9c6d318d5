package wheel

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// slotsModel is the slots beside a plain map from each timer to its tick.
type slotsModel struct {
	t     *testing.T
	slots slots
	due   map[*Entry]int64
	order []*Entry // those in due, to draw from
}

func newSlotsModel(t *testing.T) *slotsModel {
	return &slotsModel{t: t, due: make(map[*Entry]int64)}
}

// takeOne takes a single entry, and nil if there is none.
func takeOne(s *slots, tick int64) *Entry {
	var room [1]*Entry
	some, _ := s.take(tick, room[:0])
	if len(some) == 0 {
		return nil
	}
	return some[0]
}

func (m *slotsModel) insert(tick int64) *Entry {
	t := new(Entry)
	up := m.slots.insert(t, tick)
	if tick != none {
		tick = max(tick, m.slots.now+1)
	}
	if up > tick || up <= m.slots.now {
		m.t.Fatalf("a timer for tick %d comes up at %d; now is %d", tick, up, m.slots.now)
	}
	if got := m.slots.up(t); got != up {
		m.t.Fatalf("insert says that the slot comes up at %d, up says %d", up, got)
	}
	m.due[t] = tick
	m.order = append(m.order, t)
	return t
}

func (m *slotsModel) remove(i int) {
	t := m.order[i]
	m.order[i] = m.order[len(m.order)-1]
	m.order = m.order[:len(m.order)-1]
	delete(m.due, t)
	m.slots.remove(t)
	if t.slot.Load() != 0 || t.next != nil || t.prev != nil {
		m.t.Fatal("a removed timer is still linked")
	}
}

// advance takes all that comes up by tick, as the wheel does, and checks that
// exactly what is due by then was found.
func (m *slotsModel) advance(tick int64) {
	for {
		t := takeOne(&m.slots, tick)
		if t == nil {
			break
		}
		if m.slots.now > tick {
			m.t.Fatalf("now is %d after taking up to %d", m.slots.now, tick)
		}
		if m.due[t] > m.slots.now { // its slot spans many ticks: it is placed again
			m.slots.insert(t, m.due[t])
			continue
		}
		if m.due[t] < m.slots.now {
			m.t.Fatalf("a timer for tick %d was found at %d", m.due[t], m.slots.now)
		}
		delete(m.due, t)
	}
	if m.slots.now != tick {
		m.t.Fatalf("now is %d after advancing to %d", m.slots.now, tick)
	}
	m.order = m.order[:0]
	for t, due := range m.due {
		if due <= tick {
			m.t.Fatalf("a timer for tick %d was not found by %d", due, tick)
		}
		m.order = append(m.order, t)
	}
}

// check compares what the slots hold with the model, list by list.
func (m *slotsModel) check() {
	earliest, linked := none, 0
	for _, due := range m.due {
		earliest = min(earliest, due)
	}
	if next := m.slots.next(); next > earliest || next <= m.slots.now {
		m.t.Fatalf("the next slot comes up at %d; now is %d, the earliest timer is due at %d", next, m.slots.now, earliest)
	}
	for slot, head := range m.slots.heads {
		if slot < neverSlot {
			used := m.slots.occupied[slot/levelSlots]&(1<<(slot%levelSlots)) != 0
			if used != (head != nil) {
				m.t.Fatalf("slot %d: occupied is %v, and it holds a timer: %v", slot, used, head != nil)
			}
		}
		last, timers := head, 0
		for t := head; t != nil; t = t.next {
			linked++
			timers++
			if _, ok := m.due[t]; !ok || int(t.slot.Load()) != slot+1 || t.next != nil && t.next.prev != t {
				m.t.Fatalf("slot %d holds a timer that it should not, or is linked wrongly", slot)
			}
			last = t
		}
		if timers != m.slots.entries[slot] {
			m.t.Fatalf("slot %d holds %d timers, and counts %d", slot, timers, m.slots.entries[slot])
		}
		if head != nil && head.prev != last {
			m.t.Fatalf("slot %d: the head does not know the last", slot)
		}
	}
	if linked != len(m.due) {
		m.t.Fatalf("%d timers are linked, %d were inserted", linked, len(m.due))
	}
}

// run interprets data as operations, nine bytes each.
func (m *slotsModel) run(data []byte) {
	for len(data) >= 9 {
		op, v := data[0], binary.LittleEndian.Uint64(data[1:9])
		data = data[9:]
		// Distances of all magnitudes that a tick can have, 43 bits.
		distance := int64(v >> (21 + v%43))
		switch op % 8 {
		case 0, 1, 2, 3:
			m.insert(m.slots.now + distance)
		case 4:
			m.insert(none)
		case 5, 6:
			if n := len(m.order); n > 0 {
				m.remove(int(v % uint64(n)))
			}
		case 7:
			if m.slots.now+distance < 1<<44 {
				m.advance(m.slots.now + distance)
			}
		}
		m.check()
	}
}

func FuzzSlots(f *testing.F) {
	for seed := range uint64(8) {
		data := make([]byte, 9*64)
		rng := rand.NewChaCha8([32]byte{byte(seed)})
		_, _ = rng.Read(data)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		newSlotsModel(t).run(data[:min(len(data), 9*512)]) // what is longer only repeats
	})
}

func TestSlots_AgreeWithAPlainMap(t *testing.T) {
	t.Parallel() // beside the test that waits for its process
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		data := make([]byte, 9*200)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		newSlotsModel(t).run(data)
	}
}

func TestSlots_PlaceATimerAtMostOncePerLevel(t *testing.T) {
	for distance := int64(1); distance < 1<<43; distance = distance*3 + 1 {
		for _, start := range []int64{0, 1, 63, 64, 4095, 4096, 1<<30 - 1} {
			s := slots{now: start}
			timer := new(Entry)
			tick := start + distance
			s.insert(timer, tick)
			placed := 1
			for takeOne(&s, tick) != nil && s.now < tick {
				s.insert(timer, tick)
				placed++
			}
			if want := (bits.Len64(uint64(start^tick))-1)/levelBits + 1; placed > want || s.now != tick {
				t.Fatalf("from %d to %d: placed %d times, at most %d expected; now %d", start, tick, placed, want, s.now)
			}
		}
	}
}

func TestSlots_ATimerArmedWhileItsSlotIsOpenWaitsForTheNextTick(t *testing.T) {
	m := newSlotsModel(t)
	m.insert(70)
	m.insert(70)
	if takeOne(&m.slots, 70) == nil || m.slots.now != 64 {
		t.Fatal("the slot of level 1 did not come up at 64")
	}
	// One of the two is in hand, the other in the open slot.
	late := new(Entry)
	if up := m.slots.insert(late, 3); up != 65 {
		t.Fatalf("a tick in the past comes up at %d, not at the next one", up)
	}
	if next := m.slots.next(); next != 64 {
		t.Fatalf("the open slot still holds a timer, and next is %d", next)
	}
	m.slots.settle(1000)
	if m.slots.now != 64 {
		t.Fatal("settle moved past an open slot")
	}
}
