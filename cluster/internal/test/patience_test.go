package test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// short is a context that ends before anything else does in these tests.
const short = time.Second

// soon fails if what began at start took much longer than short. The nodes' lease is longer
// still.
func soon(t testing.TB, start time.Time) {
	t.Helper()
	require.Less(t, time.Since(start), 30*short)
}

func TestLocal_ACloseThatHangsKeepsNobodyLongerThanItsContext(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a := join(t, o, "a", cluster.Config{URL: b.URL(), LeaseTTL: 10 * lease})
	c := join(t, o, "c", cluster.Config{URL: b.URL(), LeaseTTL: 10 * lease})
	a.mustLogin("x")
	token := a.token("x")
	stuck := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(stuck) })
	t.Cleanup(letGo)
	a.closing = func(string) { <-stuck }
	kick := func(s *site) func(context.Context) error {
		return func(ctx context.Context) error { return s.node.Kick(ctx, "x", "Kicked") }
	}
	login := func(s *site) func(context.Context) error {
		return func(ctx context.Context) error { return s.login(ctx, "x") }
	}
	for i, do := range []func(context.Context) error{kick(a), login(a), kick(c), login(c), kick(a), login(a), login(c)} {
		start := time.Now()
		err := do(within(t, short))
		// The owner knows how long it is waited for, and may say first that it is over.
		require.True(t, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, cluster.ErrUnavailable), "operation %d: %v", i, err)
		soon(t, start)
	}
	require.Equal(t, token, a.token("x"))
	eventually(t, "the entry is that of the session which has not ended", func() bool {
		e, err := c.node.Lookup(t.Context(), "x")
		return err == nil && e.Token == token
	})
	letGo()
	// Nobody waits any more, so its end deletes the entry.
	eventually(t, "the entry is gone", func() bool {
		_, err := c.node.Lookup(t.Context(), "x")
		return err != nil
	})
	c.mustLogin("x")
	require.Zero(t, o.doubled())
}

// servant is a node with a TCP server whose sessions log in with their first line and obey
// the others in order.
type servant struct {
	srv  *tcp.Server
	node *cluster.Node
	addr string

	mu sync.Mutex
	// Guarded by mu.
	ended map[string]int
}

func newServant(t *testing.T, name, url string, obey func(s *tcp.Session, n *servant, line string)) *servant {
	t.Helper()
	n := &servant{ended: make(map[string]int)}
	node, err := cluster.Join(within(t, patience), cluster.Config{Name: name, URL: url, LeaseTTL: 10 * lease, Local: n})
	require.NoError(t, err)
	n.node = node
	n.srv = &tcp.Server{
		Directory: node,
		OnMessage: func(s *tcp.Session, line []byte) {
			if id, ok := bytes.CutPrefix(line, []byte("login ")); ok {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := s.Bind(ctx, string(id), nil); err != nil {
					_ = s.Send([]byte(err.Error() + "\n"))
					return
				}
				_ = s.Send([]byte("ok\n"))
				return
			}
			obey(s, n, string(line))
		},
		OnSessionClosed: func(s *tcp.Session, _ pool.Reason) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.ended[s.BoundID()]++
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- n.srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, n.srv.Shutdown(ctx))
		require.NoError(t, node.Leave(ctx))
		require.ErrorIs(t, <-served, tcp.ErrServerClosed)
	})
	return n
}

func (n *servant) Close(ctx context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	return n.srv.CloseToken(ctx, id, token, why)
}

func (n *servant) Deliver(_ context.Context, id string, token uint64, msg []byte) (bool, error) {
	s, ok := n.srv.Bound(id)
	return ok && s.Token() == token && s.Send(msg) == nil, nil
}

func (n *servant) login(t *testing.T, id string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", n.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	tell(t, c, "login "+id)
	buf := make([]byte, 100)
	k, err := c.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "ok\n", string(buf[:k]))
	return c
}

func tell(t *testing.T, c net.Conn, line string) {
	t.Helper()
	_, err := c.Write([]byte(line + "\n"))
	require.NoError(t, err)
}

// A session kicks its own name from its callback, which cannot end before the callback.
func TestKick_OfItselfFromACallbackReturns(t *testing.T) {
	t.Parallel()
	b := broker(t)
	kicked := make(chan error, 1)
	n := newServant(t, "a", b.URL(), func(s *tcp.Session, n *servant, id string) {
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		kicked <- n.node.Kick(ctx, id, "Kicked")
	})
	c := n.login(t, "ann")
	start := time.Now()
	tell(t, c, "ann")
	require.ErrorIs(t, <-kicked, context.DeadlineExceeded)
	soon(t, start)
	eventually(t, "the session has ended", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.ended["ann"] == 1
	})
	n.login(t, "ann")
}

// Two sessions of one node kick each other: each waits for the other's callback.
func TestKick_OfEachOtherFromCallbacksReturns(t *testing.T) {
	t.Parallel()
	b := broker(t)
	kicked := make(chan error, 2)
	var ready sync.WaitGroup
	ready.Add(2)
	n := newServant(t, "a", b.URL(), func(s *tcp.Session, n *servant, id string) {
		ready.Done()
		ready.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		kicked <- n.node.Kick(ctx, id, "Kicked")
	})
	ann, bob := n.login(t, "ann"), n.login(t, "bob")
	start := time.Now()
	tell(t, ann, "bob")
	tell(t, bob, "ann")
	for range 2 {
		<-kicked // the second may find that the first has ended
	}
	soon(t, start)
	n.login(t, "ann")
	n.login(t, "bob")
}

// A login waits for the callback of the session that has the ID, until its context ends.
func TestBind_OnTheSessionsOwnNodeWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	b := broker(t)
	works, end := make(chan struct{}), make(chan struct{})
	bound := make(chan error, 1)
	n := newServant(t, "a", b.URL(), func(s *tcp.Session, n *servant, line string) {
		if line == "work" {
			close(works)
			<-end
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		bound <- s.Bind(ctx, line, nil)
	})
	first := n.login(t, "ann")
	tell(t, first, "work")
	second, err := net.Dial("tcp", n.addr)
	require.NoError(t, err)
	defer second.Close()
	<-works
	start := time.Now()
	tell(t, second, "ann")
	require.ErrorIs(t, <-bound, context.DeadlineExceeded)
	soon(t, start)
	// The old connection is closed all the same.
	require.NoError(t, first.SetReadDeadline(time.Now().Add(patience)))
	_, err = first.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	close(end)
	n.login(t, "ann")
}

// A message is handled for longer than its sender waits.
func TestSend_OnTheSessionsOwnNodeWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	b := broker(t)
	end := make(chan struct{})
	local := &cluster.LocalPool[net.Conn]{OnMessage: func(*pool.Session[string, net.Conn], []byte) { <-end }}
	node, err := cluster.Join(within(t, patience), cluster.Config{Name: "a", URL: b.URL(), LeaseTTL: 10 * lease, Local: local})
	require.NoError(t, err)
	p, err := pool.New(pool.Config[string, net.Conn]{Directory: node})
	require.NoError(t, err)
	local.Use(p)
	server, client := net.Pipe()
	defer client.Close()
	_, err = p.RegisterContext(t.Context(), "x", server, nil)
	require.NoError(t, err)
	start := time.Now()
	require.ErrorIs(t, node.Send(within(t, short), "x", []byte("hello")), context.DeadlineExceeded)
	soon(t, start)
	close(end)
	require.NoError(t, p.Shutdown(within(t, patience)))
	require.NoError(t, node.Leave(within(t, patience)))
}
