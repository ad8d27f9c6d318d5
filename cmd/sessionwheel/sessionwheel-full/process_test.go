package main

import (
	"os"
	"testing"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// TestMain runs the program itself, or a broker, in place of the tests, in the
// processes that the tests start.
func TestMain(m *testing.M) {
	if config := os.Getenv("SESSIONWHEEL_TEST_BROKER"); config != "" {
		os.Exit(runBroker(config))
	}
	consoletest.Main(m, main)
}
