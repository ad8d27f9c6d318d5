package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sessionwheel/sessionwheel/pool"
)

const (
	defaultReason = "Closed by operator"
	maxReason     = 64 // bytes
)

// closedJSON is described by openapi.json, as Closed.
type closedJSON struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// serveClose closes a session by its ID, on the request's goroutine. It answers when
// the session's Close has returned.
func (h *Handler) serveClose(w http.ResponseWriter, r *http.Request, escaped string) {
	id, reason, ok := h.parseClose(w, r, escaped)
	if !ok {
		return
	}
	s, err := h.find(r.Context(), id)
	switch {
	case err != nil:
		writeSearchError(w, err)
	case s == nil || !s.Close(pool.Reason(reason)):
		writeError(w, http.StatusNotFound, "no session with this ID is open")
	default:
		writeJSON(w, http.StatusOK, encode(closedJSON{id, reason}))
	}
}

// parseClose returns the ID and the reason of a request to close a session. If the
// request is not allowed or invalid, parseClose answers it and returns false.
func (h *Handler) parseClose(w http.ResponseWriter, r *http.Request, escaped string) (id, reason string, ok bool) {
	if err := h.checkClose(r); err != nil {
		writeError(w, http.StatusForbidden, err.Error())
		return "", "", false
	}
	id, err := url.PathUnescape(escaped)
	if err == nil {
		reason, err = parseReason(r.URL.RawQuery)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return "", "", false
	}
	return id, reason, true
}

// parseReason returns the reason in a query. Reasons go into logs and counters, so
// it must be short and printable.
func parseReason(query string) (string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("the query cannot be parsed: %w", err)
	}
	for name, given := range values {
		if name != "reason" || len(given) > 1 {
			return "", fmt.Errorf("the parameter %.40q is not expected: use reason, once", name)
		}
	}
	reason := values.Get("reason")
	if reason == "" {
		return defaultReason, nil
	}
	if len(reason) > maxReason || !isPrintable(reason) {
		return "", fmt.Errorf("the parameter reason has %d bytes, or is not printable: use at most %d bytes of printable text", len(reason), maxReason)
	}
	return reason, nil
}

func isPrintable(text string) bool {
	for _, c := range text {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return utf8.ValidString(text)
}

// find returns the session with the given ID; nil if there is none. It walks over
// all sessions if the source cannot look the ID up; the error is that of walk.
func (h *Handler) find(ctx context.Context, id string) (session, error) {
	found, certain := h.source.lookup(id)
	if certain {
		return found, nil
	}
	err := h.walk(ctx, func(s session, _ time.Time) bool {
		if h.source.id(s) == id {
			found = s
		}
		return found == nil
	})
	return found, err
}
