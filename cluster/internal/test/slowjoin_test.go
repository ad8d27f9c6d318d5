package test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The broker does not answer for longer than one attempt to connect may take.
func TestJoin_WaitsForABrokerThatIsSlowToAnswer(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"CONNECT", " heartbeats"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			b := broker(t)
			p := between(t, b.URL())
			p.holdAfter(first)
			s := newSite(t, newObserver())
			joined := make(chan error, 1)
			go func() {
				node, err := cluster.Join(within(t, patience), cluster.Config{Name: "a", URL: p.url(), Local: s})
				if err == nil {
					t.Cleanup(func() { _ = node.Leave(within(t, patience)) }) // a busy broker may not answer
				}
				joined <- err
			}()
			eventually(t, "it connects", p.holding)
			time.Sleep(nats.DefaultTimeout + 500*time.Millisecond)
			require.Empty(t, joined)
			p.release()
			require.NoError(t, <-joined)
		})
	}
}
