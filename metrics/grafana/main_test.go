package grafana_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if a goroutine is left behind. One of klog's begins when
// that is imported, as Prometheus's client of Kubernetes does.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
