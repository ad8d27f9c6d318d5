package cluster

import "time"

const (
	// rememberDead is how long an epoch is known to be dead after its tombstone was deleted.
	rememberDead = 10 * time.Minute
	// maxBuried is how many such epochs are remembered at most, in about 1 MiB.
	maxBuried = 4096
)

// burial says that the tombstone of an epoch was deleted.
type burial struct {
	rev   uint64 // of the tombstone
	since time.Time
}

// burials remember dead epochs whose tombstones were deleted: for rememberDead, and the last
// maxBuried of them.
type burials struct {
	byEpoch map[string]burial
	order   []buried // the oldest first; an epoch that was buried again is there again
}

type buried struct {
	epoch string
	since time.Time
}

func newBurials() burials { return burials{byEpoch: make(map[string]burial)} }

// add remembers an epoch, and forgets those that have been remembered for long enough.
func (b *burials) add(epoch string, tombstone uint64) {
	now := time.Now()
	b.byEpoch[epoch] = burial{tombstone, now}
	b.order = append(b.order, buried{epoch, now})
	for len(b.order) > maxBuried || now.Sub(b.order[0].since) > rememberDead {
		oldest := b.order[0]
		b.order = b.order[1:]
		if b.byEpoch[oldest.epoch].since.Equal(oldest.since) {
			delete(b.byEpoch, oldest.epoch)
		}
	}
}

// has reports whether an epoch is remembered.
func (b *burials) has(epoch string) bool {
	_, ok := b.byEpoch[epoch]
	return ok
}

// revive forgets an epoch that has renewed its lease with the given revision, if that came
// after its tombstone. That is impossible unless the broker has lost the tombstone: a kill may
// cost it its last writes.
func (b *burials) revive(epoch string, rev uint64) {
	if old, ok := b.byEpoch[epoch]; ok && rev > old.rev {
		delete(b.byEpoch, epoch)
	}
}
