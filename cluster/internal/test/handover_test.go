package test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// keeper is a member whose sessions keep something.
type keeper struct {
	*member
	keeps []byte
	first func(*pool.Session[string, net.Conn]) // if not nil, called when a session hands over

	handedOver, ofClosed atomic.Int32 // the sessions, and those of them that were closed before
}

func newKeeper(t *testing.T, name, url, keeps string) *keeper {
	t.Helper()
	k := &keeper{keeps: []byte(keeps)}
	k.member = newMember(t, name, url, k.handover)
	t.Cleanup(func() { k.leave(t) })
	return k
}

func (k *keeper) handover(s *pool.Session[string, net.Conn]) []byte {
	k.handedOver.Add(1)
	if s.Reason() != "" {
		k.ofClosed.Add(1)
	}
	if k.first != nil {
		k.first(s)
	}
	return k.keeps
}

func (k *keeper) login(ctx context.Context, t *testing.T, id string) *pool.Session[string, net.Conn] {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	s, err := k.pool.RegisterContext(ctx, id, server, nil)
	require.NoError(t, err)
	return s
}

// into sets state to what is handed over.
func into(state *[]byte) func([]byte) { return func(handed []byte) { *state = handed } }

// loginWith logs in and returns the state that was handed over, as it is when the session is
// activated.
func (s *site) loginWith(id string) string {
	s.t.Helper()
	state, active := []byte("nothing"), ""
	ctx := cluster.WithHandover(within(s.t, patience), into(&state))
	require.NoError(s.t, s.node.Claim(ctx, id, nil, func(token uint64) {
		active = string(state)
		s.begin(id)(token)
	}))
	require.Equal(s.t, active, string(state))
	return active
}

func TestHandover_ALoginGetsWhatTheSessionOfAnotherNodeKeeps(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, c := newKeeper(t, "a", b.URL(), "kept"), join(t, newObserver(), "c", cluster.Config{URL: b.URL()})
	s := a.login(t.Context(), t, "x")
	require.Equal(t, "kept", c.loginWith("x"))
	require.Equal(t, pool.Replaced, s.Reason())
	require.EqualValues(t, 1, a.handedOver.Load())
	require.Zero(t, a.ofClosed.Load())
	require.Equal(t, "nothing", c.loginWith("y"), "a new session")
	state := []byte("nothing")
	a.login(cluster.WithHandover(t.Context(), into(&state)), t, "y")
	require.Equal(t, "nothing", string(state), "a site is no HandoverLocal")
	require.False(t, c.has("y"))
}

func TestHandover_ALoginGetsWhatTheSessionOfItsOwnNodeKeeps(t *testing.T) {
	t.Parallel()
	a := newKeeper(t, "a", broker(t).URL(), "kept")
	s := a.login(t.Context(), t, "x")
	var state []byte
	a.login(cluster.WithHandover(t.Context(), into(&state)), t, "x")
	require.Equal(t, "kept", string(state))
	require.Equal(t, pool.Replaced, s.Reason())
	require.EqualValues(t, 1, a.handedOver.Load())
	require.Zero(t, a.ofClosed.Load())
}

func TestHandover_ReachesALoginByBind(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, c := newKeeper(t, "a", b.URL(), "kept"), join(t, newObserver(), "c", cluster.Config{URL: b.URL()})
	a.login(t.Context(), t, "x")
	srv := &tcp.Server{Directory: c.node, OnMessage: func(s *tcp.Session, id []byte) {
		var state []byte
		if s.Bind(cluster.WithHandover(s.Context(), into(&state)), string(id), nil) == nil {
			_ = s.Send(state)
		}
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	tell(t, conn, "x")
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "kept", string(buf[:n]))
	require.NoError(t, srv.Shutdown(within(t, patience)))
	require.ErrorIs(t, <-served, tcp.ErrServerClosed)
}

func TestHandover_IsOfNoSessionThatIsKickedOrLeaves(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, c := newKeeper(t, "a", b.URL(), "kept"), join(t, newObserver(), "c", cluster.Config{URL: b.URL()})
	x, y := a.login(t.Context(), t, "x"), a.login(t.Context(), t, "y")
	require.NoError(t, a.node.Kick(t.Context(), "x", "Kicked"))
	require.NoError(t, c.node.Kick(t.Context(), "y", "Kicked"))
	require.Equal(t, []pool.Reason{"Kicked", "Kicked"}, []pool.Reason{x.Reason(), y.Reason()})
	require.Equal(t, "nothing", c.loginWith("x"))
	d := newMember(t, "d", b.URL(), a.handover)
	server, client := net.Pipe()
	defer client.Close()
	_, err := d.pool.RegisterContext(t.Context(), "z", server, nil)
	require.NoError(t, err)
	require.NoError(t, d.node.Leave(within(t, patience)))
	require.Equal(t, pool.Shutdown, d.reason("z"))
	require.NoError(t, d.pool.Shutdown(within(t, patience)))
	require.Zero(t, a.handedOver.Load())
}

func TestHandover_NeedsNeitherALoginThatWantsItNorASessionThatKeepsSomething(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, c := newKeeper(t, "a", b.URL(), "kept"), join(t, newObserver(), "c", cluster.Config{URL: b.URL()})
	s := a.login(t.Context(), t, "x")
	c.mustLogin("x")
	require.Equal(t, pool.Replaced, s.Reason())

	s = a.login(t.Context(), t, "empty")
	a.keeps = nil
	require.Equal(t, "nothing", c.loginWith("empty"))
	require.Equal(t, pool.Replaced, s.Reason())

	d := newMember(t, "d", b.URL(), nil)
	defer d.leave(t)
	server, client := net.Pipe()
	defer client.Close()
	s, err := d.pool.RegisterContext(t.Context(), "nil", server, nil)
	require.NoError(t, err)
	require.Equal(t, "nothing", c.loginWith("nil"))
	require.Equal(t, pool.Replaced, s.Reason())
}

func TestHandover_OfMoreThanTheBrokerTakesReachesNoOtherNode(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, c := newKeeper(t, "a", b.URL(), ""), join(t, newObserver(), "c", cluster.Config{URL: b.URL()})
	nc, err := nats.Connect(b.URL())
	require.NoError(t, err)
	defer nc.Close()
	most := int(nc.MaxPayload()*3/4 - 2048)
	a.keeps = bytes.Repeat([]byte("k"), most)
	a.login(t.Context(), t, "x")
	require.Equal(t, most, len(c.loginWith("x")))
	for i, n := range []int{most + 1, int(nc.MaxPayload())} {
		a.keeps = bytes.Repeat([]byte("k"), n)
		s := a.login(t.Context(), t, "y")
		require.Equal(t, len("nothing"), len(c.loginWith("y")))
		require.Equal(t, pool.Replaced, s.Reason())
		require.EqualValues(t, 2+i, a.handedOver.Load())
	}
	a.login(t.Context(), t, "z")
	var state []byte
	a.login(cluster.WithHandover(t.Context(), into(&state)), t, "z")
	require.Equal(t, len(a.keeps), len(state), "it stays on its node")
}

func TestHandover_MayCloseTheSession(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, c := newKeeper(t, "a", b.URL(), "kept"), join(t, newObserver(), "c", cluster.Config{URL: b.URL()})
	a.first = func(s *pool.Session[string, net.Conn]) {
		s.Close("Moved")
		<-s.Done()
	}
	s := a.login(t.Context(), t, "x")
	require.Equal(t, "kept", c.loginWith("x"))
	require.Equal(t, pool.Reason("Moved"), s.Reason())
	require.EqualValues(t, 1, a.handedOver.Load())
	e, err := a.node.Lookup(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, "c", e.Node)
}

// The ID is a third node's before the login gets it. That one has nothing to hand over, and what
// the session before has handed over is out of date.
func TestHandover_ReachesNoLoginAfterTheNextSession(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	a, c := newKeeper(t, "a", b.URL(), "kept"), join(t, o, "c", cluster.Config{URL: b.URL()})
	join(t, o, "d", cluster.Config{URL: b.URL()})
	from, to := epoch(t, c, "a"), epoch(t, c, "d")
	nc, err := nats.Connect(b.URL())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	entries, err := js.KeyValue(t.Context(), "sessions_dir")
	require.NoError(t, err)
	moved := make(chan error, 1)
	a.first = func(*pool.Session[string, net.Conn]) {
		e, err := entries.Get(context.Background(), "s.x")
		if err == nil {
			_, err = entries.Put(context.Background(), "s.x", bytes.Replace(e.Value(), []byte(from), []byte(to), 1))
		}
		moved <- err
	}
	a.login(t.Context(), t, "x")
	require.Equal(t, "nothing", c.loginWith("x"))
	require.NoError(t, <-moved)
	require.EqualValues(t, 1, a.handedOver.Load())
}
