//go:build !nocluster

package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// nodeOrder is the first order of the role "node".
type nodeOrder struct {
	Name, URL string
	Journal   string // the path
	Log       string // the path
	Replicas  int
	Storage   cluster.Storage
	MaxBytes  int64 // 0: the default, which nothing reaches
	Policy    cluster.Policy
	Degraded  cluster.Degraded
	Still     time.Duration // of standing still that is noted
	Load      loadOrder
	Deaf      bool // a drill: evictions are acknowledged and ignored
}

// nodeDo is a further order. Each is answered by a nodeReport.
type nodeDo struct {
	Do       string
	From, To int           // of doLogin: the sessions at rest, numbers From to To
	Owner    string        // whose they are
	Within   time.Duration // of doLogin
	Anew     bool          // of doLogin: ErrFull is no reason to give up
	Slowly   bool          // of doQuit: sessions take long to close
}

const (
	doStatus = "status" // how the node stands
	doPool   = "pool"   // its sessions
	doBooks  = "books"  // the same, and what it lists
	doLogin  = "login"  // logs in some that then rest
	doLoad   = "load"   // begins the load
	doRest   = "rest"   // ends it, and waits for what is under way
	doLeave  = "leave"  // leaves the cluster, and ends
	doQuit   = "quit"   // the same while the load goes on, and all sessions are open
	doFill   = "fill"   // logs in others until there is no room for more
	doEmpty  = "empty"  // logs those out
)

// nodeReport is how a node stands.
type nodeReport struct {
	Active  bool
	Done    int64             // operations of the load
	Won     int64             // unix nanoseconds: when the last login of the load that succeeded was begun
	Pool    map[string]uint64 // the tokens, of doBooks
	List    map[string]uint64 // of doBooks
	Unclean bool              // of doLeave: no broker answered in time, and others must do the rest
	Filled  int               // of doFill: how many have been logged in
	Refusal time.Duration     // of doFill: how long the slowest login took for which there was no room
	Strange string            // what must not happen, and did
	Failed  string            // why the order could not be carried out
}

// nodeChild is a node of the cluster, with its pool and its part of the load, until
// its standard input ends.
func nodeChild(up *parent) error {
	var o nodeOrder
	if err := up.orders.Decode(&o); err != nil {
		return err
	}
	n := &nodeProcess{o: o}
	if err := n.open(); err != nil {
		return err
	}
	go n.journal.keepTime(o.Still) // until the process ends
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	orders := make(chan nodeDo)
	go func() { // ends with the standard input, and then so does what is under way
		defer close(orders)
		defer cancel()
		for {
			var do nodeDo
			if err := up.orders.Decode(&do); err != nil {
				if !errors.Is(err, io.EOF) {
					n.strange("an order: %v", err)
				}
				return
			}
			orders <- do
		}
	}()
	if err := up.reports.Encode(nodeReport{}); err != nil {
		return err
	}
	for do := range orders {
		rep := n.carryOut(ctx, do)
		if err := up.reports.Encode(rep); err != nil {
			return err
		}
	}
	return nil
}

// nodeProcess is the process of a node. It is the Directory of its pool, in front of
// the node's, and the node's Local, in front of the pool's.
type nodeProcess struct {
	o       nodeOrder
	journal *journal
	pool    *pool.Pool[string, guest]
	node    *cluster.Node
	local   cluster.LocalPool[guest]
	load    *load
	filled  int // logins of doFill so far

	slow atomic.Bool // sessions take long to close

	mu  sync.Mutex
	odd string // guarded by mu: the first strange thing
}

// guest is what a session has for a connection: nothing.
type guest struct{}

func (guest) Close() error { return nil }

func (n *nodeProcess) open() (err error) {
	if n.journal, err = newJournal(n.o.Journal); err != nil {
		return err
	}
	log, err := os.OpenFile(n.o.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	c := cluster.Config{
		Name: n.o.Name, URL: n.o.URL, Replicas: n.o.Replicas, Storage: n.o.Storage, MaxBytes: n.o.MaxBytes,
		OnLeaseLost: n.o.Policy, DegradedLogin: n.o.Degraded, Local: n,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
	defer cancel()
	if n.node, err = cluster.Join(ctx, c); err != nil {
		return err
	}
	n.pool, err = pool.New(pool.Config[string, guest]{IdleTimeout: -1, Directory: n, OnSessionClosed: n.closed})
	if err != nil {
		return err
	}
	n.local.OnMessage = n.received
	n.local.Use(n.pool)
	n.load = newLoad(n)
	return nil
}

// Claim notes the session at the moment when the node makes this pool its owner.
func (n *nodeProcess) Claim(ctx context.Context, id string, meta []byte, activate func(uint64)) error {
	return n.node.Claim(ctx, id, meta, func(token uint64) {
		n.journal.note(journalLine{Kind: noteOpen, ID: id, Token: token})
		activate(token)
	})
}

// Release hands on.
func (n *nodeProcess) Release(id string, token uint64) { n.node.Release(id, token) }

// closed notes the end of a session, which processes nothing more.
func (n *nodeProcess) closed(s *pool.Session[string, guest], why pool.Reason) {
	if n.slow.Load() {
		time.Sleep(slowly)
	}
	n.journal.note(journalLine{Kind: noteClose, ID: s.ID(), Token: s.Token(), Why: why})
}

// Close hands on, but in a drill.
func (n *nodeProcess) Close(ctx context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	if n.o.Deaf && why == pool.Replaced {
		return true, nil
	}
	return n.local.Close(ctx, id, token, why)
}

// Deliver hands on.
func (n *nodeProcess) Deliver(ctx context.Context, id string, token uint64, msg []byte) (bool, error) {
	return n.local.Deliver(ctx, id, token, msg)
}

// received compares the session with the one that a message names.
func (n *nodeProcess) received(s *pool.Session[string, guest], msg []byte) {
	if s.ID() != string(msg) {
		n.strange("a message for %s came to %s", msg, s.ID())
	}
}

func (n *nodeProcess) strange(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.odd == "" {
		n.odd = fmt.Sprintf(format, args...)
	}
}

func (n *nodeProcess) carryOut(ctx context.Context, do nodeDo) nodeReport {
	var rep nodeReport
	var err error
	switch do.Do {
	case doPool:
		n.tell(&rep)
	case doBooks:
		n.tell(&rep)
		err = n.list(ctx, &rep)
	case doLogin:
		err = n.login(ctx, do)
	case doLoad:
		n.load.begin(ctx)
	case doRest:
		n.load.end()
	case doQuit:
		err = n.quit(ctx, do.Slowly)
	case doFill:
		err = n.fill(ctx, do.To, &rep)
	case doEmpty:
		n.empty()
	case doLeave:
		if err = n.leave(ctx); errors.Is(err, cluster.ErrUnavailable) {
			rep.Unclean, err = true, nil
		}
	}
	if err != nil {
		rep.Failed = err.Error()
	}
	if err := n.journal.trouble(); err != nil {
		n.strange("the journal: %v", err)
	}
	rep.Active = n.node.State() == cluster.Active
	rep.Done, rep.Won = n.load.done.Load(), n.load.won.Load()
	n.mu.Lock()
	defer n.mu.Unlock()
	rep.Strange = n.odd
	return rep
}

// tell reports the sessions here.
func (n *nodeProcess) tell(rep *nodeReport) {
	rep.Pool = make(map[string]uint64)
	for id, s := range n.pool.All() {
		rep.Pool[id] = s.Token()
	}
}

// list reports the sessions of the cluster.
func (n *nodeProcess) list(ctx context.Context, rep *nodeReport) error {
	rep.List = make(map[string]uint64)
	return n.node.List(ctx, func(e cluster.Entry) bool {
		rep.List[e.ID] = e.Token
		return true
	})
}

// login logs in sessions that rest, many at once, each until it succeeds.
func (n *nodeProcess) login(ctx context.Context, do nodeDo) error {
	ctx, cancel := context.WithTimeout(ctx, do.Within)
	defer cancel()
	var next atomic.Int64
	next.Store(int64(do.From))
	errs := make([]error, 32)
	var logins sync.WaitGroup
	for w := range errs {
		logins.Go(func() {
			for i := int(next.Add(1)) - 1; i < do.To && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = n.insist(ctx, restID(do.Owner, i), do.Anew)
			}
		})
	}
	logins.Wait()
	return firstBroken(errs...)
}

// insist logs in, again and again until ctx ends. Room says whether to wait for room.
func (n *nodeProcess) insist(ctx context.Context, id string, room bool) error {
	for {
		_, err := n.pool.RegisterContext(ctx, id, guest{}, nil)
		if err == nil || !transient(err) && (!room || !errors.Is(err, cluster.ErrFull)) {
			return err
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
}

// leave ends all sessions in good order, and the node.
func (n *nodeProcess) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	n.load.end()
	return errors.Join(n.pool.Shutdown(ctx), n.node.Leave(ctx))
}

// slowly is how long a session takes to close that closes slowly.
const slowly = time.Second

// quit has the node leave with all its sessions, amid the load.
func (n *nodeProcess) quit(ctx context.Context, slow bool) error {
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	n.slow.Store(slow)
	err := n.node.Leave(ctx)
	n.load.end()
	return errors.Join(err, n.pool.Shutdown(ctx))
}

// transient reports whether an error is one that a fault or a later login excuses.
func transient(err error) bool {
	return errors.Is(err, cluster.ErrSuperseded) || errors.Is(err, cluster.ErrLeft) || errors.Is(err, cluster.ErrIsolated) || errors.Is(err, cluster.ErrUnavailable) || errors.Is(err, cluster.ErrTakeoverTimeout)
}

const restPrefix = "rest-"

// restID is the ID of a session that a node has when a round begins.
func restID(node string, i int) string { return fmt.Sprint(restPrefix, node, "-", i) }
