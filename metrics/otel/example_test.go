package otelmetrics_test

import (
	"context"
	"fmt"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	otelmetrics "github.com/sessionwheel/sessionwheel/metrics/otel"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// A server, its wheel, and the lateness of that. A program would use a
// PeriodicReader with an exporter instead of the ManualReader.
func Example() {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	srv := &tcp.Server{Wheel: w}

	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(otelmetrics.Lateness("main", w)))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	ofWheel, err := otelmetrics.Wheel(provider, "main", w)
	if err != nil {
		fmt.Println(err)
		return
	}
	ofServer, err := otelmetrics.Server(provider, "chat", srv)
	if err != nil {
		fmt.Println(err)
		return
	}

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		fmt.Println(err)
		return
	}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch m.Name {
			case "sessionwheel.sessions.open", "sessionwheel.tick", "sessionwheel.lateness":
				fmt.Println(m.Name, m.Unit)
			}
		}
	}

	fmt.Println(ofServer.Unregister(), ofWheel.Unregister(), srv.Close())
	// Output:
	// sessionwheel.tick s
	// sessionwheel.sessions.open {session}
	// sessionwheel.lateness s
	// <nil> <nil> <nil>
}
