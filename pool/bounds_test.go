package pool

import (
	"context"
	"errors"
	"testing"
	"time"
	"unsafe"
)

// Two processors that work on neighbouring shards would take a cache line from one
// another, or one of the pair that is fetched together.
func TestShards_AreAlignedToPairsOfCacheLines(t *testing.T) {
	const pair = 128
	for range 10 {
		p, err := New(Config[string, blockingConn]{})
		if err != nil {
			t.Fatal(err)
		}
		for _, sh := range p.shards {
			if size, at := unsafe.Sizeof(*sh), uintptr(unsafe.Pointer(sh)); size%pair != 0 || at%pair != 0 {
				t.Fatalf("a shard of %d bytes lies at %#x", size, at)
			}
		}
		if err := p.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// blockingConn blocks in Close until it can receive.
type blockingConn chan struct{}

func (c blockingConn) Close() error {
	<-c
	return nil
}

// So many connections that block would take long to make: all but two of them are
// only counted.
func TestReplace_IsRefusedWhenTooManyAreStillBeingClosed(t *testing.T) {
	p, err := New(Config[int, blockingConn]{OnDuplicate: Replace})
	if err != nil {
		t.Fatal(err)
	}
	gate := make(blockingConn)
	register := func(id int) *Session[int, blockingConn] {
		t.Helper()
		s, err := p.Register(id, gate)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := register(1)
	p.replacing.Store(maxReplacing - 1)
	second := register(1) // the last one that may
	if first.Reason() != Replaced {
		t.Errorf("the first session's reason is %q", first.Reason())
	}
	if _, err := p.Register(1, gate); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	if got, ok := p.Get(1); !ok || got != second || second.Reason() != "" {
		t.Error("a replacement that was refused has closed the session")
	}
	other := register(2) // replaces none
	if st := p.Stats(); st.Sessions != 2 || st.Closing != 1 || st.RefusedFull != 1 {
		t.Errorf("%+v", st)
	}
	gate <- struct{}{}
	select {
	case <-first.Done():
	case <-time.After(time.Minute):
		t.Fatal("the first session has not ended")
	}
	countedDown := func(to int64) {
		t.Helper()
		for end := time.Now().Add(time.Minute); p.replacing.Load() != to; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d replaced sessions are counted, and not %d", p.replacing.Load(), to)
			}
		}
	}
	countedDown(maxReplacing - 1)
	third := register(1)
	if second.Reason() != Replaced {
		t.Errorf("the second session's reason is %q", second.Reason())
	}
	close(gate)
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	for _, s := range []*Session[int, blockingConn]{second, third, other} {
		<-s.Done()
	}
	countedDown(maxReplacing - 1)
}
