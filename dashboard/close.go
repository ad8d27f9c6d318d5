package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
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

// closing is a request to close a session.
type closing struct {
	id         string
	generation uint64 // of the session that is meant
	reason     string
}

// serveClose closes a session, on the request's goroutine. It answers when the session's
// Close has returned.
func (h *Handler) serveClose(w http.ResponseWriter, r *http.Request, key string) {
	c, ok := h.parseClose(w, r, key)
	if !ok {
		return
	}
	s, err := h.find(r.Context(), c.id, c.generation)
	switch {
	case err != nil:
		writeSearchError(w, err)
	case s == nil || !s.Close(pool.Reason(c.reason)):
		writeError(w, http.StatusNotFound, "this session is not open any more")
	default:
		c.writeDone(w)
	}
}

// writeDone answers that the session is closed.
func (c closing) writeDone(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, encode(closedJSON{c.id, c.reason}))
}

// parseClose parses a request to close a session. If the request is not allowed or
// invalid, parseClose answers it and returns false.
func (h *Handler) parseClose(w http.ResponseWriter, r *http.Request, key string) (c closing, ok bool) {
	if err := h.checkClose(r); err != nil {
		writeError(w, http.StatusForbidden, err.Error())
		return c, false
	}
	id, err := parseKey(key)
	if err == nil {
		c, err = parseClosing(r.URL.RawQuery)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return c, false
	}
	c.id = id
	return c, true
}

// parseClosing returns what is in the query of a request to close a session.
func parseClosing(query string) (c closing, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return c, fmt.Errorf("the query cannot be parsed: %w", err)
	}
	for name, given := range values {
		if name != "reason" && name != "generation" || len(given) > 1 {
			return c, fmt.Errorf("the parameter %.40q is not expected: use generation and reason, each once", name)
		}
	}
	c.generation, err = strconv.ParseUint(values.Get("generation"), 10, 64)
	if err != nil {
		return c, fmt.Errorf("the parameter generation is %.40q: use that of the session in the list", values.Get("generation"))
	}
	c.reason, err = checkReason(values.Get("reason"))
	return c, err
}

// checkReason returns a reason, or the default one if it is empty. Reasons go into logs
// and counters, so it must be short and printable.
func checkReason(reason string) (string, error) {
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

// generationOf distinguishes a session from earlier and later ones with its ID.
func generationOf(s session) uint64 { return uint64(s.RegisteredAt().UnixNano()) }

// formatGeneration formats a generation, which has more digits than a number in
// JavaScript.
func formatGeneration(g uint64) string { return strconv.FormatUint(g, 10) }

// find returns the session with the given ID and generation; nil if there is none. It
// walks over all sessions if the source cannot look the ID up; the error is then
// errBusy or the context's.
func (h *Handler) find(ctx context.Context, id string, generation uint64) (session, error) {
	found, certain := h.source.lookup(id)
	if certain {
		if found == nil || generationOf(found) != generation {
			return nil, nil
		}
		return found, nil
	}
	leave, err := h.searches.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	err = h.walk(ctx, func(s session, _ time.Time) bool {
		if generationOf(s) == generation && h.source.id(s) == id {
			found = s
		}
		return found == nil
	})
	return found, err
}
