package main

import (
	"io"
	"net/http"
	"sync/atomic"
)

// health answers /healthz: 200 while the server takes sessions, 503 once it
// drains, so that a load balancer sends nobody any more. Its zero value serves.
type health struct{ draining atomic.Bool }

// ServeHTTP is called by the HTTP server, on many goroutines at once.
func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if h.draining.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "draining\n") // who is gone needs no answer
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
