package web

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealth_IsReadOnly(t *testing.T) {
	var h health
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/healthz", nil))
		require.Equal(t, want, w.Code, method)
	}
}

func TestHealth_TellsOfTheDrainOfAnIsolatedNodeThatTakesLogins(t *testing.T) {
	h := health{isolated: func() (isolated, takes bool) { return true, true }}
	word, takes := h.state()
	require.Equal(t, "isolated", word)
	require.True(t, takes)
	h.draining.Store(true)
	word, takes = h.state()
	require.Equal(t, "draining", word)
	require.False(t, takes)
}
