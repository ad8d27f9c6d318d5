package cluster

import "errors"

// What the methods of a node and of a client return, to be matched by errors.Is.
var (
	// ErrIsolated means that the node has no valid lease, and may not decide who
	// owns an ID.
	ErrIsolated = errors.New("cluster: this node has lost its lease")
	// ErrNotFound means that there is no such session, or no longer the one that
	// was there a moment ago.
	ErrNotFound = errors.New("cluster: no such session")
	// ErrTakeoverTimeout means that the ID's previous owner neither gave it up nor
	// was found dead before the context ended.
	ErrTakeoverTimeout = errors.New("cluster: the previous owner did not give up the ID in time")
	// ErrUnavailable means that the broker, or the session's owner, did not answer.
	// What was asked for may have happened nevertheless.
	ErrUnavailable = errors.New("cluster: no answer")
	// ErrLeft means that the node has left the cluster.
	ErrLeft = errors.New("cluster: this node has left")
	// ErrClosed means that the client has been closed.
	ErrClosed = errors.New("cluster: this client is closed")
	// ErrNoCluster means that no node has ever joined the namespace, on these
	// brokers.
	ErrNoCluster = errors.New("cluster: there is no cluster of that namespace")
	// ErrInvalid means an ID, metadata or a message that no node would take.
	ErrInvalid = errors.New("cluster: invalid argument")
)
