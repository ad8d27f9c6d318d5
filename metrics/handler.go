package metrics

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sessionwheel/sessionwheel/internal/httpguard"
)

// writeTimeout limits how long writing an answer may take.
const writeTimeout = 10 * time.Second

// Handler serves the metrics of g in the format that a scraper asks for. It gathers them
// once for scrapes that come at the same time, and writes an answer when it is complete,
// for ten seconds at most. So a client that does not read delays no other.
//
// Requests that a browser sends on behalf of another site are refused.
func Handler(g prometheus.Gatherer) http.Handler {
	return &handler{promhttp.HandlerFor(g, promhttp.HandlerOpts{CoalesceGather: true})}
}

type handler struct{ next http.Handler }

// ServeHTTP is called by the HTTP server, on many goroutines at once.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	httpguard.SetPolicy(w.Header())
	if err := httpguard.CheckOrigin(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	a := answer{header: w.Header(), status: http.StatusOK}
	h.next.ServeHTTP(&a, r)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // without deadlines the server's own limits hold
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // it fails only if the client has gone
}

// answer is an answer that has not been sent.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
