package top

// kept is how many rates are kept for the bars of each counter.
const kept = 120

// window is over how many samples the recent lateness is told.
const window = 30

// history is what changed from sample to sample. Its zero value is empty.
type history struct {
	stats    []*stats // the last ones of one server, oldest first
	open     []float64
	rates    map[string][]float64 // by the counter's name; a rate for each step in stats
	restarts int
}

// counters are what has a rate, by name.
func (s *stats) counters() map[string]uint64 {
	c := map[string]uint64{
		"registered": s.Sessions.Registered,
		"closed":     s.Sessions.Closed,
		"refused":    s.Sessions.Refused.total(),
	}
	if t := s.Traffic; t != nil {
		c["bytes in"], c["bytes out"] = t.BytesIn, t.BytesOut
		c["frames in"], c["frames out"] = t.FramesIn, t.FramesOut
		c["accept errors"] = t.AcceptErrors
	}
	if w := s.Wheel; w != nil {
		c["fired"], c["moved"], c["rescued"] = w.Fired, w.Moved, w.Rescued
	}
	return c
}

// add takes the next sample. One that is older than the last comes from a server
// that has restarted: what was before is forgotten.
func (h *history) add(s *stats) {
	if last := h.last(); last != nil {
		passed := *s.Uptime - *last.Uptime
		if passed == 0 {
			return // the server has not looked again
		}
		if before := last.counters(); passed < 0 || !(passed > 0) || wentBack(before, s.counters()) {
			*h = history{restarts: h.restarts + 1}
		} else {
			for name, n := range s.counters() {
				h.rates[name] = push(h.rates[name], float64(n-before[name])/passed, kept)
			}
		}
	}
	if h.rates == nil {
		h.rates = map[string][]float64{}
	}
	h.stats = push(h.stats, s, window+1)
	h.open = push(h.open, float64(s.Sessions.Open), kept)
}

// wentBack tells whether a counter counts less than before.
func wentBack(before, now map[string]uint64) bool {
	for name, n := range now {
		if n < before[name] {
			return true
		}
	}
	return false
}

// last is the newest sample, nil if there is none.
func (h *history) last() *stats {
	if len(h.stats) == 0 {
		return nil
	}
	return h.stats[len(h.stats)-1]
}

// rate is the newest rate of a counter, a second. It reports false before the
// second sample.
func (h *history) rate(name string) (float64, bool) {
	r := h.rates[name]
	if len(r) == 0 {
		return 0, false
	}
	return r[len(r)-1], true
}

// recent is the lateness of the last samples alone, and over how many seconds
// they go.
func (h *history) recent() (fresh []bucket, over float64) {
	if len(h.stats) < 2 {
		return nil, 0
	}
	first, last := h.stats[0], h.last()
	if first.Wheel == nil || last.Wheel == nil {
		return nil, 0
	}
	return last.Wheel.Lateness.since(first.Wheel.Lateness), *last.Uptime - *first.Uptime
}

// push appends v and drops the oldest beyond limit.
func push[T any](list []T, v T, limit int) []T {
	list = append(list, v)
	if len(list) > limit {
		copy(list, list[len(list)-limit:])
		list = list[:limit]
	}
	return list
}
