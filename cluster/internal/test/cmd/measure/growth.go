package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// growthFor is how long heartbeats are sent for each size: three of each node.
const growthFor = 20 * time.Second

const replicatedBeat = 20 * time.Second / 3 // a third of the lease

// growth measures what the heartbeats of many nodes cost three brokers. Each heartbeat is
// written once, on three replicas, and sent to every node. The cost of writing grows with
// the number of nodes, and that of sending with its square. Both are measured, with few
// watchers and with many, and the costs of more nodes are computed from them.
func growth(ctx context.Context, m *measurement) error {
	b, err := m.start(3)
	if err != nil {
		return err
	}
	defer b.stop()
	// A node creates the streams and leaves. Otherwise it would declare the nodes of a
	// finished size dead.
	_, leave, err := nodes(ctx, 1, cluster.Config{URL: b.url(), Replicas: 3})
	if err == nil {
		err = leave()
	}
	if err != nil {
		return err
	}
	var used [3]float64 // cores
	for i, size := range []struct{ nodes, watchers int }{{100, 10}, {1000, 10}, {1000, 100}} {
		if used[i], err = heartbeats(ctx, m, b, size.nodes, size.watchers); err != nil {
			return err
		}
	}
	rate := 1000 / replicatedBeat.Seconds()
	delivery := (used[2] - used[1]) / 90 / rate // core seconds to send one heartbeat to one watcher
	written := used[1]/rate - 10*delivery
	m.add("growth, computed", 1, 3, "µs of brokers' CPU to write a heartbeat", 1e6*written)
	m.add("growth, computed", 1, 3, "µs of brokers' CPU to send it to one node", 1e6*delivery)
	for _, n := range []float64{100, 300, 1000, 3000} {
		m.add("growth, computed", int(n), 3, "cores of the three brokers", n/replicatedBeat.Seconds()*(written+n*delivery))
	}
	return nil
}

// heartbeats sends the heartbeats of a number of nodes, at their normal rate, to a number of
// watchers, and returns how many cores the brokers use during that.
func heartbeats(ctx context.Context, m *measurement, b *brokers, count, watchers int) (float64, error) {
	conns := make([]*nats.Conn, 1+min(watchers, 10)) // the watchers share some connections
	streams := make([]jetstream.JetStream, len(conns))
	for i := range conns {
		nc, err := nats.Connect(b.url(), cluster.ConnOptions(20*time.Second)...)
		if err != nil {
			return 0, err
		}
		defer nc.Close()
		conns[i] = nc
		if streams[i], err = jetstream.New(nc); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var told atomic.Int64
	for i := range watchers {
		kv, err := streams[1+i%(len(conns)-1)].KeyValue(ctx, "sessions_nodes")
		if err != nil {
			return 0, err
		}
		w, err := kv.WatchAll(ctx, jetstream.UpdatesOnly())
		if err != nil {
			return 0, err
		}
		wg.Go(func() { // runs until ctx ends
			for range w.Updates() {
				told.Add(1)
			}
		})
		defer w.Stop()
	}
	// The first heartbeats are written at once. The later ones expect their revisions.
	revs := make([]uint64, count)
	name := func(i int) string { return fmt.Sprintf("$KV.sessions_nodes.fake_%d_%d_%d", count, watchers, i) }
	write := func(i int) error {
		msg := nats.NewMsg(name(i))
		msg.Data = fmt.Appendf(nil, `{"node":"fake","beat":%d,"sessions":100000,"lease":20000}`, i)
		ack, err := streams[0].PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(revs[i]), jetstream.WithMsgTTL(24*time.Hour))
		if err == nil {
			revs[i] = ack.Sequence
		}
		return err
	}
	if _, _, err := atOnce(count, 16, write); err != nil {
		return 0, err
	}
	for told.Load() < int64(count*watchers) {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return 0, err
		}
	}
	before, err := b.cpu()
	if err != nil {
		return 0, err
	}
	start, written := time.Now(), 0
	told.Store(0)
	for time.Since(start) < growthFor {
		due := int(time.Since(start).Seconds() * float64(count) / replicatedBeat.Seconds())
		n := min(due-written, 64)
		if n == 0 {
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return 0, err
			}
			continue
		}
		first := written
		if _, _, err := atOnce(n, n, func(i int) error { return write((first + i) % count) }); err != nil {
			return 0, err
		}
		written += n
	}
	took := time.Since(start)
	after, err := b.cpu()
	if err != nil {
		return 0, err
	}
	cores := (after - before).Seconds() / took.Seconds()
	work := fmt.Sprintf("heartbeats to %d watchers", watchers)
	m.add(work, count, 3, "written per second", float64(written)/took.Seconds())
	m.add(work, count, 3, "received per second", float64(told.Load())/took.Seconds())
	m.add(work, count, 3, "cores of the three brokers", cores)
	return cores, nil
}
