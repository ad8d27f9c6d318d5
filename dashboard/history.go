package dashboard

import (
	"net/http"
	"sync"
	"time"
	"weak"
)

// historySamples is how many samples a history keeps.
const historySamples = 150

// history keeps samples of the counters, taken at regular intervals, so that a
// page shows the past when it is opened.
type history struct {
	interval time.Duration // between two samples; immutable; 0 if there are none

	mu sync.Mutex // held while a sample is taken
	// Guarded by mu.
	timer   *time.Timer // takes the next sample; nil if there is none
	samples []sample    // the oldest first
	closed  bool
}

// sample holds the counters that the page draws over time.
type sample struct {
	uptime                      time.Duration
	open                        int
	registered, closed, refused uint64
	bytesIn, bytesOut           uint64 // 0 if traffic is not counted
	pending, callbacks          int    // 0 without a wheel
}

// historyJSON is described by openapi.json. Its lists are of equal length.
type historyJSON struct {
	Interval   float64   `json:"interval_seconds"`
	Uptime     []float64 `json:"uptime_seconds"`
	Open       []int     `json:"open"`
	Registered []uint64  `json:"registered"`
	Closed     []uint64  `json:"closed"`
	Refused    []uint64  `json:"refused"`
	BytesIn    []uint64  `json:"bytes_in"`
	BytesOut   []uint64  `json:"bytes_out"`
	Pending    []int     `json:"pending"`
	Callbacks  []int     `json:"callbacks"`
}

// newHistory returns a history of a time span; a negative one means none.
func newHistory(span time.Duration) *history {
	if span < 0 {
		return &history{}
	}
	return &history{interval: span / historySamples}
}

// startHistory takes the first sample, and has a timer take the others until close.
// The timer does not keep h alive: it ends when h has been garbage collected.
func (h *Handler) startHistory() {
	if h.history.interval == 0 {
		return
	}
	handler := weak.Make(h)
	h.history.mu.Lock()
	h.history.timer = time.AfterFunc(h.history.interval, func() {
		if h := handler.Value(); h != nil {
			h.takeSample()
		}
	})
	h.history.mu.Unlock()
	h.takeSample()
}

// takeSample adds a sample to the history and sets the timer for the next one.
func (h *Handler) takeSample() {
	hist := h.history
	hist.mu.Lock()
	defer hist.mu.Unlock()
	if hist.closed {
		return
	}
	if len(hist.samples) == historySamples {
		hist.samples = append(hist.samples[:0], hist.samples[1:]...)
	}
	hist.samples = append(hist.samples, h.sampleNow())
	hist.timer.Reset(hist.interval)
}

func (h *Handler) sampleNow() sample {
	st := h.source.stats()
	s := sample{
		uptime:     time.Since(h.created),
		open:       st.Sessions,
		registered: st.Registered,
		closed:     st.Closed,
		refused:    st.refused().sum(),
	}
	if t := st.traffic; t != nil {
		s.bytesIn, s.bytesOut = t.BytesIn, t.BytesOut
	}
	if w := h.c.Wheel; w != nil {
		st := w.Stats()
		s.pending, s.callbacks = st.Pending, st.Running+st.Waiting
		h.rescues.observe(st.Rescued, time.Now())
	}
	return s
}

// close stops the sampling, and waits while a sample is taken.
func (hist *history) close() {
	hist.mu.Lock()
	defer hist.mu.Unlock()
	hist.closed = true
	if hist.timer != nil {
		hist.timer.Stop()
	}
}

// serveHistory serves the samples.
func (h *Handler) serveHistory(w http.ResponseWriter, r *http.Request) {
	h.readings.serve(w, r, func() any { return h.history.json() })
}

func (hist *history) json() historyJSON {
	hist.mu.Lock()
	defer hist.mu.Unlock()
	n := len(hist.samples)
	j := historyJSON{
		Interval: hist.interval.Seconds(),
		Uptime:   make([]float64, n), Open: make([]int, n),
		Registered: make([]uint64, n), Closed: make([]uint64, n), Refused: make([]uint64, n),
		BytesIn: make([]uint64, n), BytesOut: make([]uint64, n), Pending: make([]int, n), Callbacks: make([]int, n),
	}
	for i, s := range hist.samples {
		j.Uptime[i] = s.uptime.Seconds()
		j.Open[i] = s.open
		j.Registered[i], j.Closed[i], j.Refused[i] = s.registered, s.closed, s.refused
		j.BytesIn[i], j.BytesOut[i] = s.bytesIn, s.bytesOut
		j.Pending[i], j.Callbacks[i] = s.pending, s.callbacks
	}
	return j
}
