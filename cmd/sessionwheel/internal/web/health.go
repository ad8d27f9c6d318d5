package web

import (
	"io"
	"net/http"
	"sync/atomic"
)

// health answers /healthz: 200 while the server takes sessions and logins; 503
// once it drains, and while its node is isolated and refuses logins, so that a load
// balancer sends no more clients. The zero value works.
type health struct {
	isolated func() (isolated, takes bool) // nil: there is no node
	draining atomic.Bool
}

// state returns the answer, in a word, and whether the server takes new clients.
func (h *health) state() (word string, takes bool) {
	if h.draining.Load() {
		return "draining", false
	}
	if h.isolated != nil {
		if isolated, takes := h.isolated(); isolated {
			return "isolated", takes
		}
	}
	return "ok", true
}

// ServeHTTP is called by the HTTP server, on many goroutines at once.
func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	word, takes := h.state()
	if !takes {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, word+"\n") // a client that is gone needs no answer
}
