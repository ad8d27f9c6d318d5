package dashboard

import (
	"net/http"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// closedPageJSON is described by openapi.json.
type closedPageJSON struct {
	Sessions []closedSessionJSON `json:"sessions"`
}

type closedSessionJSON struct {
	ID      string   `json:"id"`
	Address string   `json:"address"`
	Reason  string   `json:"reason"`
	Ago     float64  `json:"ago_seconds"`
	Late    *float64 `json:"late_seconds"` // nil: no deadline closed it
}

// serveClosed serves the sessions that closed last.
func (h *Handler) serveClosed(w http.ResponseWriter, r *http.Request) {
	h.readings.serve(w, r, func() any { return h.closed() })
}

func (h *Handler) closed() closedPageJSON {
	all, now := h.source.recentlyClosed(), time.Now()
	page := closedPageJSON{Sessions: make([]closedSessionJSON, len(all))}
	for i, c := range all {
		shown := closedSessionJSON{
			ID: clip(c.ID, maxID), Address: clip(c.Address, maxName), Reason: clip(string(c.Reason), maxName),
			Ago: max(0, now.Sub(c.At).Seconds()),
		}
		if c.Reason == pool.Timeout || c.Reason == pool.Lifetime {
			late := c.Late.Seconds()
			shown.Late = &late
		}
		page.Sessions[i] = shown
	}
	return page
}
