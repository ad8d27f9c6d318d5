package test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// member is a node with a pool.
type member struct {
	node *cluster.Node
	pool *pool.Pool[string, net.Conn]

	mu sync.Mutex
	// Guarded by mu.
	why map[string]pool.Reason
}

func newMember(t *testing.T, name, url string, handover func(*pool.Session[string, net.Conn]) []byte) *member {
	t.Helper()
	m := &member{why: make(map[string]pool.Reason)}
	local := &cluster.LocalPool[net.Conn]{Handover: handover, OnMessage: func(s *pool.Session[string, net.Conn], msg []byte) {
		if _, err := s.Conn().Write(msg); err != nil {
			s.Close("Error")
		}
	}}
	won, err := local.Close(t.Context(), "x", 1, "early")
	require.NoError(t, err)
	require.False(t, won)
	delivered, err := local.Deliver(t.Context(), "x", 1, nil)
	require.NoError(t, err)
	require.False(t, delivered)
	require.Empty(t, local.HandOver(t.Context(), "x", 1))
	node, err := cluster.Join(within(t, patience), cluster.Config{Name: name, URL: url, Local: local})
	require.NoError(t, err)
	p, err := pool.New(pool.Config[string, net.Conn]{
		Directory: node,
		OnSessionClosed: func(s *pool.Session[string, net.Conn], why pool.Reason) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.why[s.ID()] = why
		},
	})
	require.NoError(t, err)
	local.Use(p)
	m.node, m.pool = node, p
	return m
}

func (m *member) leave(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, m.pool.Shutdown(ctx))
	require.NoError(t, m.node.Leave(ctx))
}

func (m *member) reason(id string) pool.Reason {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.why[id]
}

func TestPool_SharesItsIDsWithThePoolsOfOtherNodes(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, c := newMember(t, "a", b.URL(), nil), newMember(t, "c", b.URL(), nil)
	server, client := net.Pipe()
	defer client.Close()
	first, err := a.pool.RegisterContext(t.Context(), "x", server, []byte("meta"))
	require.NoError(t, err)
	e, err := c.node.Lookup(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, []any{"a", first.Token(), []byte("meta")}, []any{e.Node, e.Token, e.Meta})

	got := make(chan string, 1)
	go func() {
		buf := make([]byte, 16)
		n, _ := client.Read(buf)
		got <- string(buf[:n])
	}()
	require.NoError(t, c.node.Send(t.Context(), "x", []byte("hello")))
	require.Equal(t, "hello", <-got)

	server2, client2 := net.Pipe()
	defer client2.Close()
	second, err := c.pool.RegisterContext(t.Context(), "x", server2, nil)
	require.NoError(t, err)
	require.Equal(t, pool.Replaced, first.Reason())
	require.Equal(t, pool.Replaced, a.reason("x"), "it had ended before the second began")
	require.Zero(t, a.pool.Len())

	require.NoError(t, a.node.Kick(t.Context(), "x", "Kicked"))
	require.Equal(t, pool.Reason("Kicked"), second.Reason())

	// When a session ends by itself, its entry is deleted.
	server3, client3 := net.Pipe()
	third, err := a.pool.RegisterContext(t.Context(), "y", server3, nil)
	require.NoError(t, err)
	require.NoError(t, client3.Close())
	require.True(t, third.Close("EOF"))
	eventually(t, "the entry is gone", func() bool {
		_, err := c.node.Lookup(t.Context(), "y")
		return err != nil
	})

	server4, client4 := net.Pipe()
	defer client4.Close()
	_, err = c.pool.RegisterContext(t.Context(), "z", server4, nil)
	require.NoError(t, err)
	c.leave(t)
	_, err = a.node.Lookup(t.Context(), "z")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	require.Equal(t, pool.Shutdown, c.reason("z"))
	a.leave(t)
}
