package main

import (
	"testing"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// TestMain runs the program itself in place of the tests, in the processes that the
// tests start.
func TestMain(m *testing.M) { consoletest.Main(m, main) }
