package test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// A history of the directory, for a checker of linearizability. The state of an ID is the
// token of the session that has it, or 0.
const (
	opClaim  = "claim"  // has succeeded: the state is its token
	opFree   = "free"   // a claim, which may have evicted a session on its way
	opKick   = "kick"   // has succeeded: there was a session, and is none
	opFound  = "found"  // a kick that has succeeded beside another, which may have ended the session
	opMaybe  = "maybe"  // a kick that got no answer
	opLookup = "lookup" // has found the state
	opEnd    = "end"    // of a node, which may have ended its session at any moment since
)

type dirOp struct {
	id, op string
	token  uint64
	node   string
}

// directoryModel is what the directory promises for one ID. owner returns the node of a token.
func directoryModel(owner func(uint64) string) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byID := make(map[string][]porcupine.Operation)
			for _, o := range history {
				id := o.Input.(dirOp).id
				byID[id] = append(byID[id], o)
			}
			var all [][]porcupine.Operation
			for _, ops := range byID {
				all = append(all, ops)
			}
			return all
		},
		Init: func() []any { return []any{uint64(0)} },
		Step: func(state, input, _ any) []any {
			now, o := state.(uint64), input.(dirOp)
			switch {
			case o.op == opClaim:
				return []any{o.token}
			case o.op == opKick && now != 0:
				return []any{uint64(0)}
			case o.op == opLookup && o.token == now, o.op == opFound && now != 0:
				return []any{now}
			case o.op == opFree, o.op == opMaybe, o.op == opEnd && now != 0 && owner(now) == o.node:
				return []any{now, uint64(0)}
			case o.op == opEnd:
				return []any{now}
			}
			return nil
		},
	}
	return model.ToModel()
}

// recorder collects a history.
type recorder struct {
	start time.Time

	mu sync.Mutex
	// Guarded by mu.
	ops    []porcupine.Operation
	owners map[uint64]string // by token
}

func (r *recorder) now() int64 { return int64(time.Since(r.start)) }

func (r *recorder) add(call, ret int64, o dirOp) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, porcupine.Operation{ClientId: len(r.ops), Input: o, Call: call, Return: ret})
}

// count returns how many operations of a kind the history has.
func (r *recorder) count(op string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.ops {
		if o.Input.(dirOp).op == op {
			n++
		}
	}
	return n
}

func (r *recorder) owner(token uint64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owners[token]
}

// never is later than the end of a history.
const never = int64(time.Hour)

// operate does one thing to an ID at a node, and records it.
func (r *recorder) operate(t *testing.T, s *site, name, id string, draw int) {
	call := r.now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch {
	case draw < 4:
		var token uint64
		err := s.node.Claim(ctx, id, nil, func(given uint64) {
			token = given
			r.mu.Lock()
			r.owners[given] = name
			r.mu.Unlock()
			s.begin(id)(given)
		})
		ret := r.now()
		r.add(call, ret, dirOp{id: id, op: opFree})
		if err == nil {
			r.add(call, ret, dirOp{id: id, op: opClaim, token: token})
		} else if !mayFail(err) && !errors.Is(err, cluster.ErrLeft) {
			t.Errorf("login %s: %v", id, err)
		}
	case draw < 5:
		switch err := s.node.Kick(ctx, id, "Kicked"); {
		case err == nil:
			r.add(call, r.now(), dirOp{id: id, op: opKick})
		case errors.Is(err, cluster.ErrUnavailable):
			r.add(call, never, dirOp{id: id, op: opMaybe})
		}
	default:
		e, err := s.node.Lookup(ctx, id)
		if err == nil || errors.Is(err, cluster.ErrNotFound) {
			r.add(call, r.now(), dirOp{id: id, op: opLookup, token: e.Token})
		}
	}
}

// recorded is a site that records which of its sessions end because its node has lost its lease,
// as it may on a busy machine. Those of the node x do in any case.
type recorded struct {
	*site
	r    *recorder
	name string
}

func (s recorded) Close(ctx context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	if why == cluster.LeaseLost && s.name != "x" {
		s.r.add(s.r.now(), never, dirOp{id: id, op: opEnd, node: s.name})
	}
	return s.site.Close(ctx, id, token, why)
}

// besideEachOther replaces the kicks of an ID that overlap: all of them succeed if they have
// found the session, and one of them has ended it.
func besideEachOther(history []porcupine.Operation) []porcupine.Operation {
	overlaps := func(a porcupine.Operation) bool {
		return slices.ContainsFunc(history, func(b porcupine.Operation) bool {
			return a.ClientId != b.ClientId && a.Input == b.Input && a.Call <= b.Return && b.Call <= a.Return
		})
	}
	var all []porcupine.Operation
	for _, o := range history {
		if in := o.Input.(dirOp); in.op == opKick && overlaps(o) {
			o.Input = dirOp{id: in.id, op: opFree}
			all = append(all, o)
			o.Input = dirOp{id: in.id, op: opFound}
		}
		all = append(all, o)
	}
	return all
}

// explain logs around which operations a history stops to be one of a directory.
func (r *recorder) explain(t *testing.T, history []porcupine.Operation, info porcupine.LinearizationInfo) {
	for i, orders := range info.PartialLinearizationsOperations() {
		var longest []porcupine.Operation
		for _, order := range orders {
			if len(order) > len(longest) {
				longest = order
			}
		}
		placed := make(map[int]bool)
		for _, op := range longest {
			placed[op.ClientId] = true
		}
		id := longest[0].Input.(dirOp).id
		var rest []porcupine.Operation
		for _, op := range history {
			if op.Input.(dirOp).id == id && !placed[op.ClientId] {
				rest = append(rest, op)
			}
		}
		slices.SortFunc(rest, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
		log := func(what string, ops []porcupine.Operation) {
			for _, op := range ops {
				in := op.Input.(dirOp)
				t.Logf("%s: %v to %v: %s %d (node %s)", what, time.Duration(op.Call), time.Duration(op.Return), in.op, in.token, in.node+r.owner(in.token))
			}
		}
		t.Logf("history %d, of %s: %d operations have a place, %d have none", i, id, len(longest), len(rest))
		log("has a place", longest[max(0, len(longest)-20):])
		log("has none", rest[:min(len(rest), 20)])
	}
}

// Logins, kicks and lookups on four nodes, of which one is cut off until it is dead and back,
// one leaves, and the others lose their connections now and then.
func TestDirectory_IsLinearizable(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	var sites []*site
	var links []*proxy
	const nodes = "acdx"
	r := &recorder{start: time.Now(), owners: make(map[uint64]string)}
	for _, name := range nodes {
		p := between(t, b.URL())
		links = append(links, p)
		s := newSite(t, o)
		s.joins(within(t, patience), string(name), cluster.Config{URL: p.url(), OnLeaseLost: cluster.Fence, Local: recorded{s, r, string(name)}})
		sites = append(sites, s)
	}
	ids := names(4, "u%d")
	var ended atomic.Bool
	var wg sync.WaitGroup
	for w := range 8 {
		rnd := rand.New(rand.NewPCG(3, uint64(w)))
		wg.Go(func() {
			for !ended.Load() {
				i := rnd.IntN(len(sites))
				r.operate(t, sites[i], nodes[i:i+1], ids[rnd.IntN(len(ids))], rnd.IntN(10))
				time.Sleep(time.Duration(rnd.IntN(40)) * time.Millisecond)
			}
		})
	}
	ends := func(i int, do func()) {
		call := r.now()
		do()
		for _, id := range ids {
			r.add(call, never, dirOp{id: id, op: opEnd, node: nodes[i : i+1]})
		}
	}
	time.Sleep(time.Second)
	ends(3, func() { links[3].hold() })
	for range 6 {
		time.Sleep(lease / 4)
		links[rand.IntN(2)].heal() // the connection is lost
	}
	links[3].heal()
	ends(2, func() { require.NoError(t, sites[2].node.Leave(within(t, patience))) })
	time.Sleep(2 * time.Second)
	eventually(t, "a slow machine has done enough too", func() bool {
		return r.count(opClaim) > 100 && r.count(opLookup) > 100 && r.count(opKick) > 20
	})
	ended.Store(true)
	wg.Wait()
	require.Zero(t, o.doubled())

	// A lookup may see the entry of a login that did not succeed.
	var history []porcupine.Operation
	count := make(map[string]int)
	for _, op := range r.ops {
		in := op.Input.(dirOp)
		if in.op == opLookup && in.token != 0 && r.owner(in.token) == "" {
			continue
		}
		history = append(history, op)
	}
	history = besideEachOther(history)
	for _, op := range history {
		count[op.Input.(dirOp).op]++
	}
	t.Log("operations: ", fmt.Sprint(count))
	require.Greater(t, count[opClaim], 50)
	require.Greater(t, count[opLookup], 50)
	require.Greater(t, count[opKick], 10)
	model := directoryModel(r.owner)
	verdict, info := porcupine.CheckOperationsVerbose(model, history, 5*time.Minute)
	if verdict == porcupine.Illegal {
		r.explain(t, history, info)
	}
	require.Equal(t, porcupine.Ok, verdict)

	// The checker sees a stale read: after a claim, a lookup finds the session of the one before.
	// It is early in the history, or the checker would have to try all orders.
	var claims []porcupine.Operation
	for _, op := range history {
		if in := op.Input.(dirOp); in.op == opClaim && in.id == ids[0] {
			claims = append(claims, op)
		}
	}
	slices.SortFunc(claims, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	next := slices.IndexFunc(claims, func(o porcupine.Operation) bool { return o.Call > claims[0].Return })
	stale, at := claims[0].Input.(dirOp), claims[next].Return
	stale.op = opLookup
	wrong := append(history, porcupine.Operation{ClientId: len(r.ops), Input: stale, Call: at + 1, Return: at + 2})
	require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(model, wrong, 5*time.Minute))
}
