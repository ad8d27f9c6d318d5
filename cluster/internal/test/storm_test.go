package test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// After a restart of the broker, all users log in at other nodes at the same time, while
// the nodes that had them are still reconciling.
func TestTakeover_OfAllSessionsAfterARestartOfTheBroker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		storage cluster.Storage
	}{{"file", cluster.File}, {"memory", cluster.Memory}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, o := newRestartable(t), newObserver()
			conf := cluster.Config{URL: r.b.URL(), Storage: tt.storage, LeaseTTL: longer}
			a, c, d := join(t, o, "a", conf), join(t, o, "c", conf), join(t, o, "d", conf)
			ids := names(1500, "u%d")
			require.NoError(t, many(within(t, patience), a.retryLogin, ids...))
			r.stop()
			r.start()
			start := time.Now()
			ctx := within(t, patience)
			storm := make([]error, 2)
			var wg sync.WaitGroup
			for i, s := range []*site{c, d} {
				wg.Go(func() { storm[i] = many(ctx, s.retryLogin, ids[750*i:750*i+750]...) })
			}
			wg.Wait()
			require.Equal(t, []error{nil, nil}, storm)
			took := time.Since(start)
			agree(t, a, []*site{a, c, d})
			t.Logf("%d logins in %v; directory and pools agree after %v; %d sessions began beside another",
				len(ids), took, time.Since(start), o.doubled())
			require.Equal(t, []int{0, 750, 750}, []int{a.len(), c.len(), d.len()})
			if tt.storage == cluster.File { // with Memory the owners are lost, so they are not asked to evict
				require.Zero(t, o.doubled())
			}
		})
	}
}
