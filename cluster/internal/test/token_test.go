package test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The clock of a node that has died was years ahead.
func TestToken_FromTheFutureRaisesThoseOfItsIDOnly(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	nc := b.connect(t)
	const future = 1 << 60
	_, err := nc.Request("$KV.sessions_dir.s.x", []byte(`{"owner":"gone_1","node":"gone","token":1152921504606846976,"since":1}`), patience)
	require.NoError(t, err)
	_, err = nc.Request("$KV.sessions_nodes.gone_1", []byte(`{"node":"gone","dead":true}`), patience)
	require.NoError(t, err)
	a.mustLogin("x")
	require.Greater(t, a.token("x"), uint64(future))
	first := a.token("x")
	a.mustLogin("x")
	require.Greater(t, a.token("x"), first)
	a.mustLogin("y")
	require.Less(t, a.token("y"), uint64(time.Now().Add(time.Hour).UnixMicro()))
}
