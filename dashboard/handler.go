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

// Handler serves a dashboard. Use [New] to make one.
type Handler struct {
	// Immutable.
	c       Config
	source  source
	assets  map[string]asset
	created time.Time

	searches        *gate
	clusterLookups  *gate
	clusterSearches *gate
	nodes           *gate // api/cluster
	readings        *gate // api/history and api/closed
	streams         *streams
	history         *history
	rescues         rescues

	found [8]found // the last searches, the newest first; guarded by the turn of searches

	sampling sync.Mutex // held while the statistics are taken
	// Guarded by sampling.
	last *snapshot // nil at first
}

// New makes a Handler. The error names the invalid field of the Config.
func New(c Config) (*Handler, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	files, err := loadAssets()
	if err != nil {
		return nil, err
	}
	h := &Handler{
		c:               c,
		source:          c.Source.sessions,
		assets:          files,
		created:         time.Now(),
		searches:        newGate(c.MaxPages),
		clusterLookups:  newGate(c.MaxPages),
		clusterSearches: newGate(c.MaxPages),
		nodes:           newGate(c.MaxPages),
		readings:        newGate(c.MaxPages),
		streams:         newStreams(c.MaxPages),
		history:         newHistory(c.History),
	}
	if c.Wheel != nil {
		h.rescues.count = c.Wheel.Stats().Rescued
	}
	h.startHistory()
	return h, nil
}

// Close ends the event streams, the goroutine that feeds them and the timer of the
// history, and waits for them: up to Config.WriteTimeout if a page does not read.
// Afterwards new streams are refused, and no history is kept; everything else is
// served as before. Close is idempotent. It must not be called from ServeHTTP.
func (h *Handler) Close() {
	h.history.close()
	h.streams.close()
}

// ServeHTTP serves the page, its assets, and the API beneath api/.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if err := h.checkHost(r); err != nil {
		writeError(w, http.StatusMisdirectedRequest, err.Error())
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if err := checkOrigin(r, path); err != nil {
		writeError(w, http.StatusForbidden, err.Error())
		return
	}
	if call, ok := strings.CutPrefix(path, "api/"); ok {
		h.serveAPI(w, r, call)
		return
	}
	h.serveAsset(w, r, path)
}

// noSuchCall is the error for a path that openapi.json does not have.
const noSuchCall = "there is no such call: api/openapi.json describes all"

// serveAPI serves the API. call is the path beneath api/.
func (h *Handler) serveAPI(w http.ResponseWriter, r *http.Request, call string) {
	w.Header().Set("Cache-Control", "no-store")
	if id, ok := strings.CutPrefix(call, "sessions/"); ok {
		if allowMethod(w, r, http.MethodDelete) {
			h.serveClose(w, r, id)
		}
		return
	}
	if rest, ok := strings.CutPrefix(call, "cluster"); ok && (rest == "" || rest[0] == '/') {
		h.serveCluster(w, r, rest)
		return
	}
	serve := h.reader(call)
	if serve == nil {
		writeError(w, http.StatusNotFound, noSuchCall)
		return
	}
	if allowMethod(w, r, http.MethodGet, http.MethodHead) {
		serve(w, r)
	}
}

// reader returns what serves GET for a path beneath api/; nil if there is nothing.
func (h *Handler) reader(call string) http.HandlerFunc {
	switch call {
	case "stats":
		return h.serveStats
	case "events":
		return h.serveEvents
	case "history":
		return h.serveHistory
	case "sessions":
		return h.serveSessions
	case "closed":
		return h.serveClosed
	case "openapi.json":
		return h.serveDescription
	default:
		return nil
	}
}

// allowMethod reports whether the request's method is one of methods. If not, it
// answers the request.
func allowMethod(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	writeError(w, http.StatusMethodNotAllowed, "the method is not allowed here: use "+strings.Join(methods, " or "))
	return false
}

type errorJSON struct {
	Error string `json:"error"`
}

// writeError answers with an error.
func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, encode(errorJSON{text}))
}

// writeJSON answers with JSON.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // it fails only if the client has gone
}

// encode encodes one of the package's own types, which never fails.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("dashboard: %T cannot be encoded as JSON: %v", v, err))
	}
	return b
}
