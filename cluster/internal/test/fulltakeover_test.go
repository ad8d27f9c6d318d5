package test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// A takeover frees the room that it takes, even if there is no room beside it, and none for
// the marker of a deletion.
func TestFull_DirectoryHasRoomForATakeover(t *testing.T) {
	t.Parallel()
	const room = 16 << 10
	for _, storage := range []cluster.Storage{cluster.File, cluster.Memory} {
		t.Run(fmt.Sprint("storage ", storage), func(t *testing.T) {
			t.Parallel()
			b, o := broker(t), newObserver()
			conf := cluster.Config{URL: b.URL(), Storage: storage, MaxBytes: room}
			a, c := newSite(t, o), join(t, o, "c", conf)
			if storage == cluster.File {
				conf.Local = ready{a, func() {}}
			}
			a.joins(within(t, patience), "a", conf)
			_, js := b.jetstream(t)
			left := func() int {
				s, err := js.Stream(t.Context(), "KV_sessions_dir")
				require.NoError(t, err)
				return room - int(s.CachedInfo().State.Bytes)
			}
			var ids []string
			for i := 0; left() > 1000; i++ {
				ids = append(ids, fmt.Sprintf("u%02d", i))
				a.mustLogin(ids[i])
			}
			meta := 1000
			for ; ; meta-- { // the largest entry that there is room for
				err := a.node.Claim(within(t, patience), "last", make([]byte, meta), a.begin("last"))
				if err == nil {
					break
				}
				require.ErrorIs(t, err, cluster.ErrFull)
				require.Positive(t, meta)
			}
			require.Less(t, left(), 10)

			for _, id := range ids {
				require.NoError(t, c.login(within(t, patience), id), id)
				require.False(t, a.has(id))
				require.NoError(t, c.login(within(t, patience), id), "on the node that has it")
				err := c.login(context.Background(), "new")
				require.True(t, errors.Is(err, cluster.ErrFull), "it is still full: %v", err)
			}

			c.logout(ids[0])
			eventually(t, "there is room for a little more", func() bool { return left() > 100 })
			state := []byte("nothing")
			ctx := cluster.WithHandover(within(t, patience), into(&state))
			require.NoError(t, c.node.Claim(ctx, "last", make([]byte, meta+30), c.begin("last")), "a larger entry")
			require.Equal(t, storage == cluster.File, string(state) == "kept")

			var late atomic.Int64
			c.mu.Lock()
			c.closing = func(string) { time.Sleep(lease/6 + time.Duration(late.Add(1))*4*time.Millisecond) } // longer than a request waits
			c.mu.Unlock()
			for _, id := range ids[1:7] {
				require.NoError(t, a.login(within(t, patience), id), "the answer to the request came too late")
			}
			require.Zero(t, o.doubled())
			agree(t, c, []*site{a, c})
		})
	}
}
