package main

import (
	"io"
	"net/http"
	"sync/atomic"
)

// health answers /healthz: 200 while the server takes sessions and logins, and 503
// once it drains, and while its node is isolated and refuses logins, so that a load
// balancer sends nobody any more. Its zero value serves.
type health struct {
	isolated func() (isolated, takes bool) // nil: there is no node
	draining atomic.Bool
}

// state is what is answered, in a word, and whether the server takes whom it is
// sent.
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
	_, _ = io.WriteString(w, word+"\n") // who is gone needs no answer
}
