package test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// Sessions that do not end are asked for again and again, by many.
func TestRequests_ForSessionsThatDoNotEndKeepOthersFromNone(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	const long = 10 * lease // for which the owner serves a request
	a := join(t, o, "a", cluster.Config{URL: b.URL(), LeaseTTL: long})
	c := join(t, o, "c", cluster.Config{URL: b.URL(), LeaseTTL: long})
	stuck := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(stuck) })
	t.Cleanup(letGo)
	ids := names(25, "stuck%d")
	a.mustLogin(ids...)
	a.mustLogin("well", "kicked", "wanted")
	a.mu.Lock()
	a.closing = func(id string) {
		if id[0] == 's' {
			<-stuck
		}
	}
	a.mu.Unlock()
	nc := b.connect(t)
	owner := epoch(t, c, "a")
	for range 60 {
		for _, op := range []string{"evict", "kick"} {
			for _, id := range ids {
				q, err := json.Marshal(map[string]any{"key": "s." + id, "token": a.token(id), "reason": "Replaced"})
				require.NoError(t, err)
				require.NoError(t, nc.PublishRequest("sessions.node."+owner+"."+op, "nobody", q))
			}
		}
	}
	require.NoError(t, nc.Flush())
	start := time.Now()
	require.NoError(t, send(t, c.node, "well", []byte("hello")))
	require.NoError(t, kick(t, c.node, "kicked", "Kicked"))
	c.mustLogin("wanted")
	require.Less(t, time.Since(start), long/2, "while the requests are served")
	letGo()
	require.NoError(t, many(within(t, patience), c.retryLogin, ids...))
	require.Zero(t, o.doubled())
}
