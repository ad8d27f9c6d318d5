//go:build !nocluster

package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// spoiltPatience is for a broker to start with a store that is spoilt. Some never do.
const spoiltPatience = 20 * time.Second

// corruptBroker spoils files of one broker of three while it is stopped, starts it again, has
// it lead, and replaces its store as an operator does.
//
// What brokers may do with such a store follows from no guarantee of this project. So what is
// lost until the store is replaced is told and not judged, except that no session at rest may
// end. Then all must become right again.
func corruptBroker(ctx context.Context, f *fleet) error {
	i, kind := f.r.rand.IntN(3), damages[f.r.rand.IntN(len(damages))]
	if err := f.endBroker(i, f.r.rand.IntN(2) == 0); err != nil {
		return err
	}
	places := 8 + f.r.rand.IntN(33)
	files, err := kind.inflict(f.brokers.orders[i].Dir, places, f.r.rand)
	if err != nil {
		return err
	}
	f.r.tell("%d places of %s were spoilt, in %d files", places, kind.what, files)
	if err := pause(ctx, f.r.between(0, time.Second)); err != nil {
		return err
	}
	f.allow("") // the brokers may have lost what they acknowledged
	if err := f.serveSpoilt(ctx, i); err != nil {
		return err
	}
	return f.replaceStore(ctx, i)
}

// serveSpoilt starts the broker, and looks at what is lost and noticed while it runs and while
// it leads.
func (f *fleet) serveSpoilt(ctx context.Context, i int) error {
	said := f.brokers.logSize(i)
	defer func() { f.tellLog(i, said) }()
	most := spoiltPatience
	if f.r.short {
		most /= 4
	}
	err := f.brokers.startWithin(ctx, i, most)
	var b *Broken
	switch {
	case errors.As(err, &b):
		f.r.tell("it did not start with them")
		return f.soak(ctx, f.r.span())
	case err != nil:
		return err
	}
	if err := f.soak(ctx, f.r.span()); err != nil {
		return err
	}
	if err := f.tellMissing(ctx, "when it was back"); err != nil {
		return err
	}
	led, err := f.brokers.makeLead(ctx, i)
	switch {
	case err != nil:
		return err
	case !led:
		f.r.tell("it could not be made to lead")
		return nil
	}
	if err := f.soak(ctx, f.r.span()); err != nil {
		return err
	}
	return f.tellMissing(ctx, "while it led")
}

// tellMissing tells how many sessions have an entry that the directory's leader cannot read.
func (f *fleet) tellMissing(ctx context.Context, when string) error {
	if err := f.load(doRest); err != nil {
		return err
	}
	var mu sync.Mutex
	var ids []string
	err := f.each(func(m *member) error {
		rep, err := f.ask(m, nodeDo{Do: doPool})
		mu.Lock()
		defer mu.Unlock()
		for id := range rep.Pool {
			ids = append(ids, id)
		}
		return err
	})
	if err != nil {
		return err
	}
	missing, err := f.brokers.unreadable(ctx, ids)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		f.r.tell("%s, the directory did not answer: %v", when, err)
	default:
		f.r.tell("%s, %d of %d sessions had no entry that could be read", when, missing, len(ids))
	}
	return f.load(doLoad)
}

// unreadable counts the IDs of which the directory's leader reads no entry.
func (b *brokers) unreadable(ctx context.Context, ids []string) (missing int, err error) {
	err = withBrokers(ctx, b.url(), func(ctx context.Context, js jetstream.JetStream) error {
		for _, id := range ids {
			q := fmt.Sprintf(`{"last_by_subj":"$KV.%s.%s%s"}`, entriesBucket, plainIDs, id)
			m, err := js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+entriesStream, []byte(q))
			if err != nil {
				return err
			}
			var a struct{ Error *jetstream.APIError }
			switch err := json.Unmarshal(m.Data, &a); {
			case err != nil:
				return err
			case a.Error == nil:
			case a.Error.Code == 404:
				missing++
			default:
				return a.Error
			}
		}
		return nil
	})
	return missing, err
}

// makeLead has a broker lead the directory's stream, and reports whether it does.
func (b *brokers) makeLead(ctx context.Context, i int) (leads bool, err error) {
	request := fmt.Sprintf(`{"placement":{"preferred":%q}}`, b.orders[i].Name)
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); {
		if leader, err := b.leader(ctx); err == nil && leader == i {
			return true, nil
		}
		// An answer that says no is as good as none: the leader tells.
		_ = withBrokers(ctx, b.url(), func(ctx context.Context, js jetstream.JetStream) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+entriesStream, []byte(request))
			return err
		})
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return false, err
		}
	}
	return false, nil
}

// replaceStore has the broker begin anew without its store, and waits until it has what the
// others have.
func (f *fleet) replaceStore(ctx context.Context, i int) error {
	if f.brokers.child[i] != nil {
		f.killBroker(i) // with a spoilt store it may not end in good order
	}
	if err := os.RemoveAll(f.brokers.orders[i].Dir); err != nil {
		return err
	}
	begun := time.Now()
	if err := f.brokers.start(ctx, i); err != nil {
		return err
	}
	for {
		err := f.brokers.current(ctx)
		if err == nil {
			break
		}
		if time.Since(begun) > f.bound() {
			return broken(recovers, "%v after a broker was given a new store: %v", ago(begun), err)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	f.r.tell("its store was replaced, and it had all again after %v", ago(begun))
	return f.recovered(ctx)
}

// current returns an error unless all brokers have all that the leaders of the streams have.
func (b *brokers) current(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second) // without a leader nobody answers
	defer cancel()
	return withBrokers(ctx, b.url(), func(ctx context.Context, js jetstream.JetStream) error {
		for _, name := range []string{entriesStream, "KV_" + recordsBucket} {
			s, err := js.Stream(ctx, name)
			if err != nil {
				return err
			}
			c := s.CachedInfo().Cluster
			if c == nil || c.Leader == "" || len(c.Replicas) != len(b.orders)-1 {
				return fmt.Errorf("%s has no leader and %d followers", name, len(b.orders)-1)
			}
			for _, r := range c.Replicas {
				if !r.Current || r.Offline {
					return fmt.Errorf("%s is behind on %s", name, r.Name)
				}
			}
		}
		return nil
	})
}

// logSize is how much a broker has logged so far.
func (b *brokers) logSize(i int) int64 {
	info, err := os.Stat(b.orders[i].Log)
	if err != nil {
		return 0 // it has logged nothing yet
	}
	return info.Size()
}

// tellLog tells what a broker has warned of since its log had a size.
func (f *fleet) tellLog(i int, size int64) {
	text, err := os.ReadFile(f.brokers.orders[i].Log)
	if err != nil || int64(len(text)) < size {
		f.r.tell("its log cannot be read: %v", err)
		return
	}
	said := warnings(string(text[size:]))
	if len(said) == 0 {
		f.r.tell("its log says nothing of it")
	}
	for _, line := range said[:min(3, len(said))] {
		f.r.tell("its log says: %s", line)
	}
}

// mostSaid is how much of such a line is told.
const mostSaid = 64

// warnings are the lines of a broker's log that are about what is stored.
func warnings(text string) (found []string) {
	for line := range strings.Lines(text) {
		for _, level := range []string{"[WRN] ", "[ERR] ", "[FTL] "} {
			_, said, ok := strings.Cut(line, level)
			if !ok || !aboutStore(said) {
				continue
			}
			said = strings.TrimSpace(said)
			found = append(found, said[:min(len(said), mostSaid)])
		}
	}
	return found
}

func aboutStore(line string) bool {
	for _, word := range []string{"Filestore", "RAFT", "checksum", "orrupt", "Catchup", "create failed", "recover"} {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}
