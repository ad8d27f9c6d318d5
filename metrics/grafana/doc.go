// Package grafana contains tests only. They check the dashboard and the alerts in
// docs/grafana against what packages metrics and otelmetrics expose, with
// Prometheus's own parser and engine.
package grafana
