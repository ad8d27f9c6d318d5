package udp_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/udp"
)

func TestGroup_SendsToItsMembersAndForgetsThoseThatClose(t *testing.T) {
	var room udp.Group // the zero value works
	srv := &udp.Server{OnNewSessionRegister: func(s *udp.Session) { room.Add(s) }}
	bubble(t, srv, func(t *testing.T, w *fakeSocket, e serverEvents) {
		require.Zero(t, room.Send([]byte("to nobody")))
		addrs := []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3"}
		for _, a := range addrs {
			w.send(a, "hello")
		}
		synctest.Wait()
		require.Equal(t, 3, room.Len())
		require.ElementsMatch(t, slices.Collect(srv.Sessions()), slices.Collect(room.All()))
		for range room.All() {
			break // which is allowed
		}

		received := func() (to []string) {
			for range len(w.out) {
				p := <-w.out
				require.Equal(t, "news", p.data)
				to = append(to, p.addr.String())
			}
			return to
		}
		require.Equal(t, 3, room.Send([]byte("news")))
		require.ElementsMatch(t, addrs, received())

		all := slices.Collect(room.All())
		require.True(t, room.Add(all[0]), "it is a member")
		require.True(t, room.Remove(all[0]))
		require.False(t, room.Remove(all[0]))
		all[1].Close("left")
		require.False(t, room.Add(all[1]))
		require.Equal(t, 1, room.Len())
		require.Equal(t, 1, room.Send([]byte("news")))
		require.Equal(t, []string{all[2].RemoteAddr().String()}, received())
	})
}
