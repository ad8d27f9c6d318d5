package cluster

import "errors"

// Errors that the methods of Node and Client return, to be matched with errors.Is.
var (
	// ErrIsolated means that the node has no valid lease, and may not decide who
	// owns an ID.
	ErrIsolated = errors.New("cluster: node has no lease")
	// ErrNotFound means that there is no such session, or that another one has
	// replaced it in the meantime.
	ErrNotFound = errors.New("cluster: session not found")
	// ErrTakeoverTimeout means that the ID's previous owner neither gave it up nor
	// was declared dead before the context ended.
	ErrTakeoverTimeout = errors.New("cluster: takeover timed out")
	// ErrSuperseded means that a claim of the same ID began later and has taken the
	// place of this one: the last of a client's logins wins.
	ErrSuperseded = errors.New("cluster: a later login has the ID")
	// ErrUnavailable means that the broker or the session's owner did not answer. The
	// operation may have been executed all the same.
	ErrUnavailable = errors.New("cluster: unavailable")
	// ErrFull means that the directory has reached Config.MaxBytes, or its brokers a limit
	// of their own.
	ErrFull = errors.New("cluster: directory is full")
	// ErrLeft means that the node has left the cluster.
	ErrLeft = errors.New("cluster: node has left")
	// ErrClosed means that the client is closed.
	ErrClosed = errors.New("cluster: client closed")
	// ErrNoCluster means that no node has ever joined the namespace on these brokers.
	ErrNoCluster = errors.New("cluster: no such cluster")
	// ErrInvalid means that an ID, metadata or a message is empty or too long.
	ErrInvalid = errors.New("cluster: invalid argument")
)

// Errors that do not leave the package, except in a reply.
var (
	errTaken       = errors.New("cluster: ID has an entry")                       // a write was refused
	errNoLease     = errors.New("cluster: lease expired")                         // nothing was written
	errFencing     = errors.New("cluster: sessions closing")                      // of a lost lease: no new epoch yet
	errOldRevision = errors.New("cluster: revision of a stream that may be lost") // nothing was written
	errStale       = errors.New("cluster: no session with that token")

	errResync       = errors.New("cluster: connection was made again") // why a feed ends
	errWatcherEnded = errors.New("cluster: watcher ended")
	errStalled      = errors.New("cluster: watcher stalled")

	errNoJetStream = errors.New("cluster: broker has no JetStream: enable it with jetstream {} in its configuration or with nats-server -js, also for the account of this connection")
)
