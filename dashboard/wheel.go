package dashboard

import (
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

type wheelJSON struct {
	Tick            float64      `json:"tick_seconds"`
	Pending         int          `json:"pending"`
	Slots           int          `json:"slots"`
	Fired           uint64       `json:"fired"`
	Moved           uint64       `json:"moved"`
	Running         int          `json:"running"`
	Waiting         int          `json:"waiting"`
	Rescued         uint64       `json:"rescued"`
	RescuedAgo      *float64     `json:"rescued_ago_seconds"` // nil: not since the dashboard was made
	LibraryDisabled bool         `json:"library_disabled"`
	Now             float64      `json:"now_seconds"`
	Lateness        latenessJSON `json:"lateness"`
	Levels          []levelJSON  `json:"levels"`
}

type latenessJSON struct {
	Count   uint64       `json:"count"`
	Sum     float64      `json:"sum_seconds"`
	P50     float64      `json:"p50_seconds"`
	P99     float64      `json:"p99_seconds"`
	Buckets []bucketJSON `json:"buckets"`
}

type bucketJSON struct {
	AtMost *float64 `json:"le_seconds"` // nil: beyond all bounds
	Count  uint64   `json:"count"`
}

type levelJSON struct {
	Level int        `json:"level"`
	Slot  float64    `json:"slot_seconds"`
	Slots []slotJSON `json:"slots"`
}

type slotJSON struct {
	Index  int     `json:"index"`
	Up     float64 `json:"up_seconds"`
	Timers int     `json:"timers"`
}

func newWheelJSON(w *wheel.Wheel, rescues *rescues, now time.Time) *wheelJSON {
	st := w.Stats()
	return &wheelJSON{
		Tick:            w.Tick().Seconds(),
		Pending:         st.Pending,
		Slots:           st.Slots,
		Fired:           st.Fired,
		Moved:           st.Moved,
		Running:         st.Running,
		Waiting:         st.Waiting,
		Rescued:         st.Rescued,
		RescuedAgo:      rescues.observe(st.Rescued, now),
		LibraryDisabled: st.LibraryDisabled,
		Now:             w.Elapsed().Seconds(),
		Lateness:        newLatenessJSON(st.Late),
		Levels:          newLevelsJSON(w.Slots()),
	}
}

// newLatenessJSON leaves empty buckets out.
func newLatenessJSON(l wheel.Lateness) latenessJSON {
	j := latenessJSON{
		Count:   l.Count(),
		Sum:     l.Sum.Seconds(),
		P50:     l.Quantile(0.50).Seconds(),
		P99:     l.Quantile(0.99).Seconds(),
		Buckets: []bucketJSON{},
	}
	for i, n := range l.Counts {
		if n == 0 {
			continue
		}
		b := bucketJSON{Count: n}
		if i < wheel.LatenessBuckets {
			bound := wheel.LatenessBound(i).Seconds()
			b.AtMost = &bound
		}
		j.Buckets = append(j.Buckets, b)
	}
	return j
}

// newLevelsJSON groups slots, which are ordered by time, by level. It leaves empty
// levels out.
func newLevelsJSON(slots []wheel.Slot) []levelJSON {
	levels := []levelJSON{}
	for _, s := range slots {
		for len(levels) <= s.Level {
			levels = append(levels, levelJSON{Level: len(levels)})
		}
		l := &levels[s.Level]
		l.Slot = s.Span.Seconds()
		l.Slots = append(l.Slots, slotJSON{s.Index, s.Up.Seconds(), s.Timers})
	}
	used := levels[:0]
	for _, l := range levels {
		if len(l.Slots) > 0 {
			used = append(used, l)
		}
	}
	return used
}

// rescues remembers when the watchdog last woke the wheel. The wheel itself
// only counts.
type rescues struct {
	mu sync.Mutex
	// Guarded by mu.
	count uint64
	last  time.Time // the zero time: count has not grown since the dashboard was made
}

// observe takes the wheel's count at a time, and returns how many seconds before
// that it grew last; nil if it did not.
func (r *rescues) observe(count uint64, now time.Time) (ago *float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if count > r.count {
		r.count, r.last = count, now
	}
	if r.last.IsZero() {
		return nil
	}
	seconds := max(0, now.Sub(r.last).Seconds())
	return &seconds
}
