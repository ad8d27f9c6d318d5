package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// A server and its wheel, exposed at /metrics.
func Example() {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	srv := &tcp.Server{Addr: "127.0.0.1:0", Wheel: w}
	served := make(chan error)
	go func() { served <- srv.ListenAndServe() }()

	reg := prometheus.NewRegistry()
	reg.MustRegister(metrics.Wheel("main", w), metrics.Server("chat", srv))
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics.Handler(reg))

	page := httptest.NewRecorder()
	mux.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if strings.HasPrefix(line, "sessionwheel_sessions_open") || strings.HasPrefix(line, "sessionwheel_tick") {
			fmt.Print(line)
		}
	}

	fmt.Println(srv.Shutdown(context.Background()))
	fmt.Println(<-served)
	// Output:
	// sessionwheel_sessions_open{server="chat"} 0
	// sessionwheel_tick_seconds{wheel="main"} 0.01
	// <nil>
	// tcp: server closed
}

// Other labels are added by wrapping the registry.
func ExampleServer() {
	reg := prometheus.NewRegistry()
	zone := prometheus.WrapRegistererWith(prometheus.Labels{"zone": "eu-1"}, reg)
	zone.MustRegister(
		metrics.Server("chat", &tcp.Server{}),
		metrics.Server("admin", &tcp.Server{}))

	families, err := reg.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, mf := range families {
		if mf.GetName() == "sessionwheel_sessions_open" {
			for _, m := range mf.Metric {
				fmt.Println(m.Label[0].GetValue(), m.Label[1].GetValue(), m.Gauge.GetValue())
			}
		}
	}
	// Output:
	// admin eu-1 0
	// chat eu-1 0
}
