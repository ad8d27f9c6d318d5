package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Handler serves a dashboard. It is made by [New].
type Handler struct {
	// Immutable.
	c       Config
	source  source
	assets  map[string]asset
	born    time.Time
	origins *http.CrossOriginProtection

	searches *gate
	lists    *gate // of the cluster
	streams  *streams

	sampling sync.Mutex // held while the figures are taken
	// Guarded by sampling.
	last *snapshot // nil at first
}

// New makes a Handler, which starts nothing until somebody looks. The error
// names the field of the Config that is wrong.
func New(c Config) (*Handler, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	files, err := loadAssets()
	if err != nil {
		return nil, err
	}
	return &Handler{
		c:        c,
		source:   c.Source.sessions,
		assets:   files,
		born:     time.Now(),
		origins:  http.NewCrossOriginProtection(),
		searches: newGate(c.MaxPages),
		lists:    newGate(c.MaxPages),
		streams:  newStreams(c.MaxPages),
	}, nil
}

// Close ends the event streams and the goroutine behind them, and waits for both:
// for a page that does not read, up to Config.WriteTimeout. Further streams are
// refused; everything else is served as before, since it holds nothing. Close is
// idempotent. It must not be called from within ServeHTTP.
func (h *Handler) Close() { h.streams.close() }

// ServeHTTP serves the page, what belongs to it, and the API beneath api/.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if err := h.checkHost(r); err != nil {
		fail(w, http.StatusForbidden, err.Error())
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if call, ok := strings.CutPrefix(path, "api/"); ok {
		h.serveAPI(w, r, call)
		return
	}
	h.serveAsset(w, r, path)
}

// noCall answers what is not described.
const noCall = "there is no such call: api/openapi.json describes all"

// serveAPI serves what is beneath api/.
func (h *Handler) serveAPI(w http.ResponseWriter, r *http.Request, call string) {
	if err := h.checkOrigin(r); err != nil {
		fail(w, http.StatusForbidden, err.Error())
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	id, one := strings.CutPrefix(call, "sessions/")
	part, ofCluster := strings.CutPrefix(call, "cluster")
	switch {
	case ofCluster && (part == "" || part[0] == '/'):
		h.serveCluster(w, r, part)
	case one:
		if allow(w, r, http.MethodDelete) {
			h.serveClose(w, r, id)
		}
	case call == "stats":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			write(w, http.StatusOK, h.snapshot().json)
		}
	case call == "events":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			h.serveEvents(w, r)
		}
	case call == "sessions":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			h.serveSessions(w, r)
		}
	case call == "openapi.json":
		h.serveAsset(w, r, "api/openapi.json")
	default:
		fail(w, http.StatusNotFound, noCall)
	}
}

// allow reports whether the request's method is one of those, and answers it if
// not.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	fail(w, http.StatusMethodNotAllowed, "the method is not allowed here: use "+strings.Join(methods, " or "))
	return false
}

type failure struct {
	Error string `json:"error"`
}

// fail answers with an error.
func fail(w http.ResponseWriter, status int, text string) {
	write(w, status, encode(failure{text}))
}

// write answers with JSON.
func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who is gone needs no answer
}

// encode is for the package's own types, which all have a form in JSON.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("dashboard: %T has no form in JSON: %v", v, err))
	}
	return b
}
