package test

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/internal/clock"
)

// Each of these tests fails if one rule of the protocol is taken away.

// sending makes a proxy call drop with the subject of each message that the node sends. The
// message is not forwarded if drop reports true, and not before drop returns.
func (p *proxy) sending(drop func(subject string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outwards = func(from io.Reader) io.Reader {
		return &filter{from: bufio.NewReaderSize(from, 64<<10), drop: drop}
	}
}

// A node that does not hear another one's heartbeats any more, and everything else, cannot
// declare it dead: that is a compare-and-set on the last heartbeat.
func TestProtocol_ANodeWhoseHeartbeatsAreNotHeardLives(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	var deaf atomic.Bool
	var unheard atomic.Int64
	p.mu.Lock()
	// If a message were missing, nats.go would notice. So it comes under another name.
	p.inwards = func(from io.Reader) io.Reader {
		return &filter{from: bufio.NewReaderSize(from, 64<<10), drop: func(string) bool { return false }, edit: func(m []byte) []byte {
			own := []byte("MSG $KV.sessions_nodes.a_")
			if deaf.Load() && bytes.Contains(m, own) {
				unheard.Add(1)
				m = bytes.Replace(m, own, []byte("MSG $KV.sessions_nodes.z_"), 1)
			}
			return m
		}}
	}
	p.mu.Unlock()
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	d := join(t, o, "d", cluster.Config{URL: b.URL()})
	var log logged
	c := join(t, o, "c", cluster.Config{URL: p.url(), Logger: log.logger()})
	a.mustLogin("x")
	before := epoch(t, d, "a")
	deaf.Store(true)
	time.Sleep(3 * lease)
	require.Positive(t, unheard.Load())
	require.Equal(t, before, epoch(t, d, "a"))
	require.True(t, a.has("x"))
	require.NotContains(t, log.String(), "declared a node dead")
	c.mustLogin("x") // a is asked
	require.False(t, a.has("x"))
	require.Zero(t, o.doubled())
}

// A node that could not renew its own lease for two thirds of it declares nobody dead, even
// while it still has the lease.
func TestProtocol_ANodeThatCannotRenewItsLeaseDeclaresNobodyDead(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	pa, pc := between(t, b.URL()), between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: pa.url()})
	var mute atomic.Bool // c's heartbeats do not reach the broker
	pc.sending(func(subject string) bool { return mute.Load() && strings.HasPrefix(subject, "$KV.sessions_nodes.c_") })
	mono, boot := new(stoppable), new(stoppable)
	c := newSite(t, o)
	c.joins(clock.With(within(t, patience), clock.Clocks{Mono: mono.now, Boot: boot.now}), "c", cluster.Config{URL: pc.url()})
	record := "$KV.sessions_nodes." + epoch(t, c, "a")
	a.mustLogin("x")
	mono.stop()
	boot.stop()
	for range 2 { // the second one is of a heartbeat that c sent after that
		beaten := beat(t, c, "c")
		eventually(t, "c has renewed its lease", func() bool { return beat(t, c, "c").After(beaten) })
	}
	mute.Store(true)
	// From here on c's lease has half a second left, of six.
	mono.stopped.Add(int64(lease * 3 / 4))
	require.Equal(t, cluster.Active, c.node.State())
	pa.hold()
	for start := time.Now(); time.Since(start) < 2*lease; time.Sleep(20 * time.Millisecond) {
		require.Equal(t, cluster.Active, c.node.State())
		now := last(t, nc, "KV_sessions_nodes", record)
		require.NotContains(t, now, "dead")
		require.NotEmpty(t, now, "it was declared dead, and its entries are deleted")
	}
}

// A lease is over five sixths of it after its heartbeat was sent, although the broker's answer
// came late.
func TestProtocol_ALeaseIsShorterForItsNodeAndCountsFromTheHeartbeat(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	for range 10 { // a busy machine may lose the answer or send another heartbeat
		eventually(t, "it has a lease", active(a))
		p.holdAfter("$KV.sessions_nodes.a_")
		eventually(t, "a heartbeat is on its way", p.holding)
		sent := time.Now()
		time.Sleep(lease * 2 / 15)
		p.release()
		time.Sleep(lease / 20)
		p.hold()
		beaten := beat(t, c, "a")
		var had, now time.Duration
		for now = time.Since(sent); a.node.State() == cluster.Active; now = time.Since(sent) {
			had = now
			time.Sleep(time.Millisecond)
		}
		took := time.Since(sent)
		clean := beat(t, c, "a").Equal(beaten) && beaten.Sub(sent).Abs() < lease/10 && took > lease/2 && took-had < lease/60
		p.heal()
		t.Logf("a lease of %v lasted %v; counts: %v", lease, took, clean)
		if clean {
			require.Less(t, took, lease*9/10)
			return
		}
	}
	t.Fatal("no attempt was clean")
}

// The lease of a node is its own, and others may have shorter ones.
func TestProtocol_ALongerLeaseIsWaitedFor(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: p.url(), LeaseTTL: 3 * lease, OnLeaseLost: cluster.Fence})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a.mustLogin("x")
	start := time.Now()
	p.hold()
	require.ErrorIs(t, c.login(within(t, 3*lease/2), "x"), cluster.ErrTakeoverTimeout)
	c.mustLogin("x")
	require.Greater(t, time.Since(start), 3*lease*2/3-time.Second) // its last heartbeat may have been a third older
	require.Zero(t, o.doubled())
	require.Equal(t, cluster.LeaseLost, a.reason("x"))
}

// An entry of a dead node is taken over just before it is deleted.
func TestProtocol_AnEntryThatWasTakenOverIsNotDeleted(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	nc := b.connect(t)
	p := between(t, b.URL())
	reached, goOn := make(chan struct{}), make(chan struct{})
	reach := sync.OnceFunc(func() { close(reached); <-goOn })
	p.sending(func(subject string) bool {
		if subject == "$KV.sessions_dir.s.u0" {
			reach()
		}
		return false
	})
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: p.url()})
	_, err := nc.Request("$KV.sessions_dir.s.u0", []byte(`{"owner":"gone_1","node":"gone","token":5,"since":1}`), patience)
	require.NoError(t, err)
	record := "$KV.sessions_nodes.gone_1"
	_, err = nc.Request(record, []byte(`{"node":"gone","dead":true,"by":"`+epoch(t, a, "c")+`"}`), patience)
	require.NoError(t, err)
	select {
	case <-reached: // c deletes the entry
	case <-time.After(patience):
		t.Fatal("nobody deletes it")
	}
	a.mustLogin("u0")
	close(goOn)
	eventually(t, "all is deleted", func() bool { return last(t, nc, "KV_sessions_nodes", record) == "" })
	e, err := c.node.Lookup(t.Context(), "u0")
	require.NoError(t, err)
	require.Equal(t, a.token("u0"), e.Token)
}

// The lease is over when the answer to a login comes.
func TestProtocol_ALoginWhoseLeaseHasEndedMeanwhileIsNotAdmitted(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p := between(t, b.URL())
	mono, boot := new(stoppable), new(stoppable)
	a := newSite(t, o)
	a.joins(clock.With(within(t, patience), clock.Clocks{Mono: mono.now, Boot: boot.now}), "a", cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence})
	p.holdAfter("$KV.sessions_dir.s.x")
	done := make(chan error, 1)
	go func() { done <- a.login(within(t, patience), "x") }()
	eventually(t, "the entry is written", p.holding)
	boot.ahead.Store(int64(time.Hour))
	p.release()
	require.ErrorIs(t, <-done, cluster.ErrIsolated)
	require.False(t, a.has("x"))
	require.Zero(t, o.alive("x"))
}
