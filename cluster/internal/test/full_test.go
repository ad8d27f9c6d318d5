package test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The directory has no room for another session, nor for the marker of a deletion.
func TestFull_DirectoryRefusesLoginsAndHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	for _, storage := range []cluster.Storage{cluster.File, cluster.Memory} {
		t.Run(fmt.Sprint("storage ", storage), func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			conf := cluster.Config{URL: b.URL(), Storage: storage, MaxBytes: 64 << 10, LeaseTTL: longer, OnLeaseLost: cluster.Fence}
			a, c := join(t, o, "a", conf), join(t, o, "c", conf)
			fill := func(format string, meta []byte) (ids []string) {
				for i := 0; ; i++ {
					id, start := fmt.Sprintf(format, i), time.Now()
					if err := a.node.Claim(within(t, patience), id, meta, a.begin(id)); err != nil {
						require.ErrorIs(t, err, cluster.ErrFull)
						require.Less(t, time.Since(start), patience/2)
						return ids
					}
					ids = append(ids, id)
				}
			}
			ids := fill("u%d", make([]byte, 64))
			fill("%d", nil) // smaller ones still have room
			require.Greater(t, len(ids), 50)
			for start := time.Now(); time.Since(start) < longer; time.Sleep(50 * time.Millisecond) {
				require.True(t, active(a, c)())
				require.ErrorIs(t, a.login(within(t, patience), "more than there is room for"), cluster.ErrFull)
			}
			require.NoError(t, c.node.Kick(within(t, patience), ids[0], "Kicked"))
			a.logout(ids[1])
			for _, id := range ids[:2] {
				eventually(t, "the entry is gone", func() bool {
					_, err := c.node.Lookup(t.Context(), id)
					return errors.Is(err, cluster.ErrNotFound)
				})
			}
			require.NoError(t, c.login(within(t, patience), ids[0]), "there is room again")
			require.NoError(t, c.login(within(t, patience), ids[2]), "it takes the place of the one before")
			require.False(t, a.has(ids[2]))
			require.NoError(t, a.node.Leave(within(t, patience)))
			agree(t, c, []*site{a, c})
			require.Zero(t, o.doubled())
		})
	}
}

func TestFull_ABrokerWithoutRoomForTheDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	srv := standalone(t, "")
	_, err := cluster.Join(context.Background(), cluster.Config{Name: "a", URL: srv.ClientURL(), MaxBytes: 1 << 50, Local: newSite(t, newObserver())})
	require.ErrorContains(t, err, "Config.MaxBytes")
	require.NotErrorIs(t, err, cluster.ErrUnavailable)
}
