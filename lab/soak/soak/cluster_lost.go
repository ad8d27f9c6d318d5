//go:build !nocluster

package soak

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// loseStream deletes the directory's stream and purges it, one after the other, while all
// connections stay.
func loseStream(ctx context.Context, f *fleet) error {
	ways := []string{"DELETE", "PURGE"}
	f.r.rand.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	for i, how := range ways {
		if i > 0 {
			if err := f.load(doLoad); err != nil {
				return err
			}
		}
		if err := f.lose(ctx, how); err != nil {
			return err
		}
	}
	return f.load(doLoad) // which lose has ended
}

// lose loses the stream in one way, and waits until all nodes have noticed and it is whole
// again.
func (f *fleet) lose(ctx context.Context, how string) error {
	f.allow("") // the owners are forgotten, so no node asks them
	nc, err := nats.Connect(f.brokers.url())
	if err != nil {
		return err
	}
	defer nc.Close()
	begun := time.Now()
	if _, err := nc.RequestWithContext(ctx, "$JS.API.STREAM."+how+"."+entriesStream, nil); err != nil {
		return err
	}
	f.r.tell("the stream was lost: %s", strings.ToLower(how))
	f.mended = time.Now()
	// They log that it is lost as well, unless a login or another node's look came first.
	if _, err := f.noticed(ctx, begun, saysReconciled, f.nodes...); err != nil {
		return err
	}
	took, err := f.settle(ctx, f.mended)
	if err == nil {
		f.r.late(took)
		f.r.tell("it had all sessions again after %v", took.Round(time.Millisecond))
	}
	return err
}
