// Package cluster is the directory of the sessions of several nodes: which node
// owns a session ID, one owner at a time. A session stays in the pool of the node
// that its connection came to; what the nodes share is who has it. A second login
// under an ID takes over, wherever the first one is. Any node may find, kick or
// send to any session, and the sessions of a node that dies are gone with its
// lease.
//
//	local := &cluster.LocalPool[*Conn]{OnMessage: deliver}
//	node, err := cluster.Join(ctx, cluster.Config{Name: "a", URL: "nats://10.0.0.1", Local: local})
//	...
//	p, err := pool.New(pool.Config[string, *Conn]{Directory: node})
//	...
//	local.Use(p)
//	s, err := p.RegisterContext(ctx, "user-7", conn, nil)
//
// It stands on NATS JetStream (server 2.11 or later, which has a time to live for
// each message): one broker, or three that replicate. Package embedded, a module
// of its own, runs a broker within the process, for one machine and for tests. Do
// not run replicated brokers within nodes that come and go: three that stay, and
// every node a client of theirs.
//
// A process that is no node reads the directory and reaches its sessions by a
// [Client], which [Open] makes: it has no lease, and writes nothing.
//
// # What is stored
//
// Two key-value buckets that any NATS client can read. <namespace>_nodes has a
// record for each incarnation of a node, which it renews every third of the
// lease. <namespace>_dir has an entry for each session: its owner's incarnation
// and name, its token, since when, and the metadata that the login gave. An entry
// is written when a session comes and deleted when it goes, and nothing refreshes
// it between: it counts as long as its owner lives.
//
// # Takeover
//
// A login creates the entry by compare-and-set. If there is one, and its owner
// lives, the owner is asked to evict: it closes its session, deletes the entry
// and says so, and the login tries again. If the owner does not answer, only a
// death certificate lets the login pass: a compare-and-set on the last heartbeat,
// which was seen a lease or longer ago. A node renews by compare-and-set on that
// same heartbeat, so that it is either renewed or dead, and everybody agrees.
//
// A token names one login for good. It grows with each login under an ID, and
// what is meant for one session (an eviction, a kick, a message) carries its token
// and does not reach the session that followed.
//
// # What is promised
//
// The directory names at most one owner for an ID. With [Fence] there is at most
// one live session for an ID, given storage that loses nothing it acknowledged,
// clocks that run at about the same speed, and no node that stands still between
// one step and the next. With [KeepServing], the default, sessions outlive an
// outage of the brokers; two sessions with one ID are possible only while a node is
// cut off and another still reaches the broker, and end when it is back: the
// higher token wins. A broker acknowledges before it syncs to the disk. So the
// directory is rebuilt from the pools whenever a node's connection or lease comes
// back, also when all of it was lost.
//
// # How long things take
//
// A node that ends without [Node.Leave] is declared dead by the others after its
// lease and at most half a lease more; from then on its sessions do not count, and
// their entries are deleted. The lease is six seconds or more with one broker, and
// twenty or more with several, since they take four to eight to elect another
// leader when theirs is killed.
package cluster
