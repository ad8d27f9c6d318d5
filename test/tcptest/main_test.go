package tcptest_test

import (
	"testing"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
