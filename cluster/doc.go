// Package cluster is the session directory of several nodes: it records which node
// owns a session ID, one owner at a time. A session stays in the pool of the node
// that its connection came to; the nodes share only who has it. A second login with
// an ID takes over, wherever the first session is. Any node can look up, kick or send
// to any session. When a node dies, its sessions are removed from the directory once
// its lease has expired.
//
//	local := &cluster.LocalPool[*Conn]{OnMessage: deliver}
//	node, err := cluster.Join(ctx, cluster.Config{Name: "a", URL: "nats://10.0.0.1", Local: local})
//	...
//	p, err := pool.New(pool.Config[string, *Conn]{Directory: node})
//	...
//	local.Use(p)
//	s, err := p.RegisterContext(ctx, "user-7", conn, nil)
//
// The package uses NATS JetStream, server version 2.11 or later, which supports a time
// to live for each message: one broker, or three that replicate. Package embedded, a
// module of its own, runs a broker within the process, for a single machine and for
// tests. Do not run replicated brokers within nodes that are started and stopped: run
// three permanent ones, with all nodes as their clients.
//
// A process that is not a node can read the directory and send requests to its sessions
// with a [Client], which [Open] returns. A client has no lease and writes nothing.
//
// # What is stored
//
// There are two key-value buckets, which any NATS client can read. <namespace>_nodes
// has a record for each incarnation of a node, also called its epoch. The node renews
// the record every third of its lease. <namespace>_dir has an entry for each session:
// the incarnation and name of its owner, its token, the time of the login, and the
// metadata of the login. An entry is written when a session begins and deleted when it
// ends, and is not refreshed in between: it counts as long as its owner is alive.
//
// # Takeover
//
// A login creates the entry by compare-and-set. If there is an entry already and its
// owner is alive, the owner is asked to evict: it closes its session, deletes the entry
// and replies, and the login tries again. The entry of a session that hands something over is
// not deleted but written over, so that another login finds it if the first one gives up. If
// the owner does not reply, the login can pass only after the owner was declared dead, by a
// tombstone: a record with Dead set, written by compare-and-set on the owner's last heartbeat,
// which must be a lease old or older. A node renews its lease by compare-and-set on that same
// heartbeat. So either the lease is renewed or the node is dead, and all nodes agree on which.
//
// Of all logins of an ID, the one that began last wins, however long any of them waits
// for an earlier owner: a login that finds a later one in its place fails with
// [ErrSuperseded]. On one node the order is exact. Between nodes it is only as exact as their
// clocks, and applies only to logins that overlap: otherwise a node whose clock is ahead would
// keep others from its IDs.
//
// What a session keeps for its client stays on its node, unless it is handed over: a login
// made with [WithHandover] gets the bytes that LocalPool.Handover returns for the session it
// takes over.
//
// A token identifies one login of an ID. The token of a login that takes over is always higher
// than the one before. If the login before has ended, its entry is gone and its token
// forgotten. The next token is then higher unless the clock of the later login's node is behind
// that of the earlier one's by more than the time between the logins. A restart of the brokers
// does not change that, nor does the loss of what they store. Requests for a session (an
// eviction, a kick, a message) carry its token, so they never reach a later session of the ID.
//
// # Guarantees
//
// The directory names at most one owner for an ID. With [Fence] there is at most one
// live session for an ID, provided that the brokers lose nothing they have acknowledged,
// that clocks run at about the same speed, and that no node is paused between two steps
// of an operation. With [KeepServing], the default, sessions survive an outage of the
// brokers. Two sessions can then have the same ID while one node is cut off and another
// still reaches the broker; when the first node is back, the session with the higher
// token stays. Brokers acknowledge writes before they sync them to disk. Therefore the
// directory is rebuilt from the pools when a node regains its connection or its lease,
// even if all of it was lost.
//
// # How long things take
//
// If a node ends without [Node.Leave], the other nodes declare it dead after its lease and
// at most half a lease more. From then on its sessions do not count, and their entries
// are deleted. A lease is at least six seconds with one broker, and twenty with several,
// because they take four to eight seconds to elect a new leader when theirs is killed.
package cluster
