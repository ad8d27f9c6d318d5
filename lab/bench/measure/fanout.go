package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/load"
	"github.com/sessionwheel/sessionwheel/lab/bench/servers"
)

// The fan-out workload: c.Size subscribers, of which one in a hundred never reads.
const (
	messageSize  = 4096 // bytes on the wire
	fanMessages  = 1500 // at half rate; beyond what a subscriber that does not read may hold
	slowShare    = 100
	fanBurst     = 16                    // messages between two looks at what has arrived, at full speed
	fanWindow    = 64                    // messages under way, at full speed
	fanDrain     = 128                   // after so many, all have to arrive, so that no reader falls far behind
	fanPatience  = 20 * time.Second      // for the last messages to arrive
	fanSubscribe = 10 * time.Second      // for the server to know its subscribers
	fanPoll      = 5 * time.Millisecond  // between two looks at the server's figures
	minFullSpeed = 20 * time.Millisecond // long enough for a rate to follow from
)

// kindFanOut is the kind of the fan-out workload, whose servers broadcast.
const kindFanOut = "fan-out"

// fanOut measures a Broadcaster at full speed, then at half of that speed without and with
// subscribers that do not read.
func fanOut(ctx context.Context, c Case) (map[string]float64, map[string][]float64, error) {
	p, err := startServer(ctx, broadcaster+c.Impl)
	if err != nil {
		return nil, nil, err
	}
	defer p.stop()
	empty, err := p.request(requestInUse)
	if err != nil {
		return nil, nil, err
	}
	slow := max(1, c.Size/slowShare)
	readers, err := load.Subscribe(ctx, p.addr, c.Size-slow, messageSize)
	if err != nil {
		return nil, nil, err
	}
	defer readers.Close()
	f := &fan{p: p, readers: readers}
	if err := f.awaitServer(ctx, func(st serverStatus) bool { return st.Subscribers == readers.Len() }); err != nil {
		return nil, nil, err
	}
	idle, err := p.request(requestInUse)
	if err != nil {
		return nil, nil, err
	}
	full, err := f.fullSpeed(ctx, max(c.Span, minFullSpeed))
	if err != nil {
		return nil, nil, err
	}
	interval := 2 * full.took / time.Duration(full.messages)
	alone, err := f.halfRate(ctx, interval)
	if err != nil {
		return nil, nil, err
	}
	idlers, err := load.Connect(ctx, p.addr, slow)
	if err != nil {
		return nil, nil, err
	}
	defer idlers.Close()
	if err := f.awaitServer(ctx, func(st serverStatus) bool { return st.Subscribers == c.Size }); err != nil {
		return nil, nil, err
	}
	beside, err := f.halfRate(ctx, interval)
	if err != nil {
		return nil, nil, err
	}
	_ = f.awaitServer(ctx, func(st serverStatus) bool { return st.Slow >= slow }) // the figure says how many were
	end, err := p.request(requestUsage)
	if err != nil {
		return nil, nil, err
	}
	deliveries := float64(full.messages * readers.Len())
	return map[string]float64{
		"deliveries/s":          deliveries / full.took.Seconds(),
		"CPU µs/delivery":       micros(full.cpu) / deliveries,
		"half rate CPU":         micros(beside.cpu) / float64(fanMessages*readers.Len()),
		"Post p50 µs":           micros(beside.st.P50),
		"Post p99 µs":           micros(beside.st.P99),
		"p50 with/without slow": float64(beside.st.P50) / float64(max(1, alone.st.P50)),
		"p99 with/without slow": float64(beside.st.P99) / float64(max(1, alone.st.P99)),
		"arrived %":             100 * float64(alone.arrived+beside.arrived) / float64(2*fanMessages*readers.Len()),
		"slow closed %":         100 * float64(end.Slow) / float64(slow),
		"bytes/subscriber":      float64(int64(idle.InUse-empty.InUse)) / float64(readers.Len()),
		"peak RSS MB":           float64(beside.st.PeakRSS) / 1e6,
	}, nil, ctx.Err()
}

// fan is a server that broadcasts, and those who read from it.
type fan struct {
	p       *serverProcess
	readers *load.Subscribers
	posted  int // messages
}

// fanFigures is what one phase has taken.
type fanFigures struct {
	messages int
	took     time.Duration // until all had arrived
	cpu      time.Duration // of the server
	arrived  int           // deliveries
	st       serverStatus
}

// awaitServer waits until the server's figures are as ok wants them.
func (f *fan) awaitServer(ctx context.Context, ok func(serverStatus) bool) error {
	for deadline := time.Now().Add(fanSubscribe); ; time.Sleep(fanPoll) {
		st, err := f.p.request(requestUsage)
		switch {
		case err != nil:
			return err
		case ok(st):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("measure: the server has %d subscribers, and closed %d as slow", st.Subscribers, st.Slow)
		}
	}
}

var errReaderLost = errors.New("measure: the server has closed connections that read")

// fullSpeed posts as fast as the readers read for d.
func (f *fan) fullSpeed(ctx context.Context, d time.Duration) (r fanFigures, err error) {
	before, err := f.p.request(requestUsage)
	if err != nil {
		return r, err
	}
	n := f.readers.Len()
	start, first := time.Now(), f.posted
	for time.Since(start) < d || f.posted == first {
		for range fanDrain / fanBurst {
			if _, err := f.p.publish(publication{First: f.posted, Messages: fanBurst}); err != nil {
				return r, err
			}
			f.posted += fanBurst
			if !f.readers.Wait(ctx, (f.posted-fanWindow)*n, fanPatience) {
				return r, errReaderLost
			}
		}
		if !f.readers.Wait(ctx, f.posted*n, fanPatience) {
			return r, errReaderLost
		}
	}
	r.took, r.messages = time.Since(start), f.posted-first
	after, err := f.p.request(requestUsage)
	r.cpu = after.CPU - before.CPU
	return r, err
}

// halfRate posts a message each interval.
func (f *fan) halfRate(ctx context.Context, interval time.Duration) (r fanFigures, err error) {
	before, err := f.p.request(requestUsage)
	if err != nil {
		return r, err
	}
	delivered := f.readers.Delivered()
	r.st, err = f.p.publish(publication{First: f.posted, Messages: fanMessages, Interval: interval})
	if err != nil {
		return r, err
	}
	f.posted += fanMessages
	_ = f.readers.Wait(ctx, f.posted*f.readers.Len(), fanPatience) // the figure says how many have arrived
	after, err := f.p.request(requestUsage)
	r.cpu, r.arrived = after.CPU-before.CPU, f.readers.Delivered()-delivered
	return r, err
}

// broadcasters lists the implementations of the fan-out workload.
func broadcasters() (impls []Impl) {
	for _, m := range servers.Broadcasters() {
		impls = append(impls, Impl{Name: m.Name, Module: m.Module, How: m.How})
	}
	return impls
}
