package otelmetrics_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if a goroutine is left behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
