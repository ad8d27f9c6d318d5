package test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs a child process, or the tests, and fails if they leave a goroutine behind.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(beChild(role))
	}
	// The tests spend most of their time waiting for leases, which are lost when too many run.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	// The configuration of the manual's brokers reads it. A parallel test cannot set it.
	if err := os.Setenv("NODE_PASSWORD", nodePassword); err != nil {
		panic(err)
	}
	var err error
	if programs, err = os.MkdirTemp("", "cluster-test-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m,
		goleak.Cleanup(func(status int) {
			_ = os.RemoveAll(programs)
			os.Exit(status)
		}),
		// Goroutines of the broker that end some time after it.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*Server).monitorRaftStateTransitions"),
	)
}
