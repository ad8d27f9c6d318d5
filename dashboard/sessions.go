package dashboard

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// checkEvery is the number of sessions after which a search checks whether it has
// been cancelled.
const checkEvery = 1024

// pageJSON and the types in it are described by openapi.json.
type pageJSON struct {
	Total    int           `json:"total"`
	Matching int           `json:"matching"`
	Offset   int           `json:"offset"`
	Limit    int           `json:"limit"`
	Sessions []sessionJSON `json:"sessions"`
}

type sessionJSON struct {
	ID         string   `json:"id"`
	Exact      bool     `json:"exact"` // ID is exact
	Key        *string  `json:"key"`   // nil: the ID is too long
	Generation string   `json:"generation"`
	Address    string   `json:"address"`
	Label      string   `json:"label"`
	Age        float64  `json:"age_seconds"`
	Idle       float64  `json:"idle_seconds"`
	Remaining  *float64 `json:"remaining_seconds"` // nil: it has no deadline
}

// serveSessions serves a page of the sessions that match a search.
func (h *Handler) serveSessions(w http.ResponseWriter, r *http.Request) {
	s, err := parseSearch(r.URL.RawQuery, pageParameters)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	body, err := h.search(r.Context(), s)
	if err != nil {
		writeSearchError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// writeSearchError answers a search that did not take place, or was cut short: the server
// ends, or the client has gone and takes no answer.
func writeSearchError(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "1")
	if errors.Is(err, errBusy) {
		writeError(w, http.StatusTooManyRequests, err.Error())
		return
	}
	writeError(w, http.StatusServiceUnavailable, "this was cut short before it was done: the server is shutting down")
}

// found is the result of a search.
type found struct {
	search search
	began  time.Time
	page   []byte
}

// search returns a page of the sessions. If the same search began after this one was
// asked for, its result serves both. The error is errBusy or the context's.
func (h *Handler) search(ctx context.Context, s search) ([]byte, error) {
	asked := time.Now()
	leave, err := h.searches.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	for _, f := range h.found {
		if f.search == s && f.began.After(asked) {
			return f.page, nil
		}
	}
	began := time.Now()
	page, err := h.pass(ctx, s)
	if err != nil {
		return nil, err
	}
	copy(h.found[1:], h.found[:])
	h.found[0] = found{s, began, page}
	return page, nil
}

// pass looks at all sessions once, and selects, sorts and formats a page of them. The
// caller has entered h.searches. The error is the context's.
func (h *Handler) pass(ctx context.Context, s search) ([]byte, error) {
	page := pageJSON{Offset: s.offset, Limit: s.limit}
	first := selection{keep: s.offset + s.limit, before: s.before}
	var r row // reused, to allocate none for each session
	err := h.walk(ctx, func(one session, now time.Time) bool {
		page.Total++
		r = newRow(h.source, one, now)
		if s.matches(&r) {
			page.Matching++
			first.add(&r)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	page.Sessions = newSessionsJSON(first.from(s.offset))
	return encode(page), nil
}

// walk calls f for each session until f returns false. began is the same time in all
// calls. The caller has entered h.searches. The error is the context's.
func (h *Handler) walk(ctx context.Context, f func(s session, began time.Time) bool) error {
	began, n := time.Now(), 0
	for s := range h.source.all() {
		if n++; n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !f(s, began) {
			break
		}
	}
	return nil
}

func newSessionsJSON(rows []row) []sessionJSON {
	shown := make([]sessionJSON, len(rows))
	for i := range rows {
		r := &rows[i]
		shown[i] = sessionJSON{
			ID:         clip(r.ID(), maxID),
			Exact:      isExact(r.ID()),
			Key:        keyOf(r.ID()),
			Generation: formatGeneration(generationOf(r.session)),
			Address:    clip(r.Address(), maxName),
			Label:      r.source.label(r.session),
			Age:        r.age.Seconds(),
			Idle:       r.idle.Seconds(),
		}
		if r.remaining != never {
			left := r.remaining.Seconds()
			shown[i].Remaining = &left
		}
	}
	return shown
}
