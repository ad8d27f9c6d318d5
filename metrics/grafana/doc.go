// Package grafana holds the dashboard and the alerts of docs/grafana against what
// packages metrics and otelmetrics expose, with Prometheus's own parser and
// engine. It is tests alone.
package grafana
