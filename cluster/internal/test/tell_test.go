package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// told is what a node was told, and by whom.
type told struct{ from, msg string }

// listener joins a node that passes on what it is told.
func listener(t *testing.T, b *childBroker, name string) (*cluster.Node, chan told) {
	t.Helper()
	heard := make(chan told, 1000)
	s := join(t, newObserver(), name, cluster.Config{
		URL:    b.URL(),
		OnTell: func(_ *cluster.Node, from string, msg []byte) { heard <- told{from, string(msg)} },
	})
	return s.node, heard
}

// hear returns the next that a node is told.
func hear(t *testing.T, heard chan told) told {
	t.Helper()
	select {
	case next := <-heard:
		return next
	case <-time.After(patience):
		require.FailNow(t, "the node was told nothing")
		return told{}
	}
}

func TestTell_ReachesTheOtherNodesInOrder(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, ofA := listener(t, b, "a")
	c, ofC := listener(t, b, "c")
	_, ofD := listener(t, b, "d")
	join(t, newObserver(), "deaf", cluster.Config{URL: b.URL()})
	for i := range 100 {
		require.NoError(t, a.Tell("", fmt.Append(nil, i)))
		require.NoError(t, a.Tell("c", fmt.Append(nil, "only ", i)))
	}
	for i := range 100 {
		require.Equal(t, told{"a", fmt.Sprint(i)}, hear(t, ofD))
	}
	all, only := 0, 0 // of c; those to all and those to one come on goroutines of their own
	for range 200 {
		switch next := hear(t, ofC); next {
		case told{"a", fmt.Sprint(all)}:
			all++
		case told{"a", fmt.Sprint("only ", only)}:
			only++
		default:
			require.FailNow(t, "out of order", "%v after %d to all and %d to one", next, all, only)
		}
	}
	require.NoError(t, c.Tell("a", []byte("last")))
	require.Equal(t, told{"c", "last"}, hear(t, ofA), "a was told nothing before: not by itself either")
	require.NoError(t, a.Tell("nobody", nil))
	require.NoError(t, c.Tell("", nil))
	require.Equal(t, told{"c", ""}, hear(t, ofD))
}

func TestTell_SaysWhyItFails(t *testing.T) {
	t.Parallel()
	b := broker(t)
	a, _ := listener(t, b, "a")
	_, heard := listener(t, b, "c")
	require.ErrorIs(t, a.Tell("*", nil), cluster.ErrInvalid)
	require.ErrorIs(t, a.Tell("", make([]byte, 1<<20)), cluster.ErrInvalid)
	most := make([]byte, 1<<20-256)
	require.NoError(t, a.Tell("c", most))
	require.Equal(t, told{"a", string(most)}, hear(t, heard))
	require.NoError(t, b.Close())
	eventually(t, "the node is not connected", func() bool { return a.Tell("", nil) != nil })
	require.ErrorIs(t, a.Tell("", nil), cluster.ErrUnavailable)
	_ = a.Leave(within(t, time.Second)) // which finds no broker
	require.ErrorIs(t, a.Tell("", nil), cluster.ErrLeft)
}

func TestTell_LeaveWaitsForOnTell(t *testing.T) {
	t.Parallel()
	b := broker(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	a := join(t, newObserver(), "a", cluster.Config{URL: b.URL(), OnTell: func(*cluster.Node, string, []byte) {
		close(begun)
		<-goOn
	}})
	c, _ := listener(t, b, "c")
	require.NoError(t, c.Tell("a", nil))
	<-begun
	left := make(chan error, 1)
	go func() { left <- a.node.Leave(within(t, patience)) }()
	eventually(t, "Leave has begun", func() bool { return a.node.State() == cluster.Left })
	require.NoError(t, c.Tell("a", nil)) // it would close begun again
	select {
	case err := <-left:
		require.FailNow(t, "Leave has returned", "%v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(goOn)
	require.NoError(t, <-left)
}
