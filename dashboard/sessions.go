package dashboard

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// lookUp is how many sessions a search looks at before it looks whether anybody
// still waits for it.
const lookUp = 1024

// pageJSON and what is in it are described by openapi.json.
type pageJSON struct {
	Total    int           `json:"total"`
	Matching int           `json:"matching"`
	Offset   int           `json:"offset"`
	Limit    int           `json:"limit"`
	Sessions []sessionJSON `json:"sessions"`
}

type sessionJSON struct {
	ID        string   `json:"id"`
	Address   string   `json:"address"`
	Age       float64  `json:"age_seconds"`
	Idle      float64  `json:"idle_seconds"`
	Remaining *float64 `json:"remaining_seconds"` // nil: nothing is to end it
}

// serveSessions answers a search.
func (h *Handler) serveSessions(w http.ResponseWriter, r *http.Request) {
	s, err := parseSearch(r.URL.RawQuery, pageParameters)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	page, err := h.search(r.Context(), s)
	if err != nil {
		failSearch(w, err)
		return
	}
	write(w, http.StatusOK, encode(page))
}

// failSearch answers a search that did not take place. Who has gone meanwhile
// needs no answer.
func failSearch(w http.ResponseWriter, err error) {
	if errors.Is(err, errBusy) {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, err.Error())
	}
}

// search goes over all sessions once. The error is errBusy or the context's.
func (h *Handler) search(ctx context.Context, s search) (pageJSON, error) {
	page := pageJSON{Offset: s.offset, Limit: s.limit}
	first := selection{keep: s.offset + s.limit, before: s.before}
	var r row // one for all sessions: each of its own would be garbage
	err := h.walk(ctx, func(one session, now time.Time) bool {
		page.Total++
		r = measure(h.source, one, now)
		if s.matches(&r) {
			page.Matching++
			first.add(&r)
		}
		return true
	})
	if err != nil {
		return page, err
	}
	page.Sessions = show(first.from(s.offset))
	return page, nil
}

// walk calls f for each session, and with the time when it began, until f
// reports false. One walk runs at a time. The error is errBusy or the context's.
func (h *Handler) walk(ctx context.Context, f func(s session, began time.Time) bool) error {
	if err := h.searches.enter(ctx); err != nil {
		return err
	}
	began := time.Now()
	defer h.searches.leave(began)
	n := 0
	for s := range h.source.all() {
		if n++; n%lookUp == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !f(s, began) {
			break
		}
	}
	return nil
}

func show(rows []row) []sessionJSON {
	shown := make([]sessionJSON, len(rows))
	for i := range rows {
		r := &rows[i]
		shown[i] = sessionJSON{
			ID:      r.ID(),
			Address: r.Address(),
			Age:     r.age.Seconds(),
			Idle:    r.idle.Seconds(),
		}
		if r.remaining != never {
			left := r.remaining.Seconds()
			shown[i].Remaining = &left
		}
	}
	return shown
}
