package test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The record of a living node may be deleted, or expire because the clock of the broker's
// host is set forward by a day. No other node may declare the node dead before it can
// find out.
func TestLease_IsGrantedToANodeWhoseRecordIsLost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		marker bool // the deletion leaves a marker, which other nodes receive
	}{{"deleted", true}, {"purged", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			a := join(t, o, "a", cluster.Config{URL: b.URL(), OnLeaseLost: cluster.Fence})
			c := join(t, o, "c", cluster.Config{URL: b.URL()})
			ids := names(100, "u%d")
			a.mustLogin(ids...)
			before := epoch(t, c, "a")
			nc := b.connect(t)
			beaten := beat(t, c, "a")
			eventually(t, "a heartbeat has just been", func() bool { return beat(t, c, "a").After(beaten) })
			subject := "$KV.sessions_nodes." + before
			var err error
			if tt.marker {
				m := nats.NewMsg(subject)
				m.Header.Set("Nats-Marker-Reason", "MaxAge")
				_, err = nc.RequestMsg(m, patience)
			} else {
				_, err = nc.Request("$JS.API.STREAM.PURGE.KV_sessions_nodes", []byte(`{"filter":"`+subject+`"}`), patience)
			}
			require.NoError(t, err)
			start := time.Now()
			c.mustLogin(ids[0])
			t.Logf("taken over after %v", time.Since(start))
			require.Zero(t, o.doubled())

			eventually(t, "a is back, without what it had", func() bool { return active(a)() && epoch(t, c, "a") != before && a.len() == 0 })
			agree(t, c, []*site{a, c})
			a.mustLogin(ids...)
			agree(t, c, []*site{a, c})
			require.Zero(t, o.doubled())
		})
	}
}
