// Package house_test holds the rules of the repository: what imports what, where
// tests are, and whether the code of the READMEs compiles.
package house_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// TestMain changes to the root of the repository, whose files the tests read.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	harness.Main(m)
}
