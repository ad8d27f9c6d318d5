package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// healthy waits until a node's /healthz answers as said.
func healthy(t *testing.T, page string, status int, word string) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, body := get(t, page+"healthz")
		return s == status && body == word+"\n"
	}, consoletest.Patience, 50*time.Millisecond, "/healthz never was %d %s", status, word)
}

func TestADrainIsToldAlsoOfAnIsolatedNodeThatTakesLogins(t *testing.T) {
	h := health{isolated: func() (isolated, takes bool) { return true, true }}
	word, takes := h.state()
	require.Equal(t, "isolated", word)
	require.True(t, takes)
	h.draining.Store(true)
	word, takes = h.state()
	require.Equal(t, "draining", word)
	require.False(t, takes)
}
