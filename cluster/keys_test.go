package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func FuzzKeys(f *testing.F) {
	for _, s := range []string{"user-7", "a b", "s.x", "b.x", "名", "\xff", "*", ">"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := idOf(s); ok && keyOf(id) != s {
			t.Errorf("the keys %q and %q are of one ID, %q", s, keyOf(id), id)
		}
		if checkID(s) != nil {
			return
		}
		if id, ok := idOf(keyOf(s)); !ok || id != s {
			t.Errorf("%q has the key %q, which is of %q, %v", s, keyOf(s), id, ok)
		}
		if k := keyOf(s); !isWord(k[2:]) || len(k) > 1500 {
			t.Errorf("the key %q of %q", k, s)
		}
	})
}

func TestIDLocks_ExcludeEachOtherAndTakeNoMemoryAtRest(t *testing.T) {
	var l idLocks
	counts := map[string]*int{"a": new(int), "b": new(int)}
	var wg sync.WaitGroup
	for range 8 {
		for id, n := range counts {
			wg.Go(func() {
				for range 1000 {
					unlock, err := l.lock(context.Background(), id)
					if err != nil {
						t.Error(err)
						return
					}
					*n++
					unlock()
				}
			})
		}
	}
	wg.Wait()
	for id, n := range counts {
		if *n != 8000 {
			t.Errorf("%s: %d", id, *n)
		}
	}
	unlock, err := l.lock(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("a lock that is held was had: %v", err)
	}
	unlock()
	if len(l.m) != 0 {
		t.Errorf("%d locks are left", len(l.m))
	}
}

func TestTokens_AreGreaterThanAllEarlierOnes(t *testing.T) {
	var tk tokens
	last := tk.next(0)
	for _, previous := range []uint64{0, last, 5} {
		next := tk.next(previous)
		if next <= last || next <= previous {
			t.Errorf("after %d and %d came %d", last, previous, next)
		}
		last = next
	}
	future := last + 1<<40
	if next := tk.next(future); next <= future {
		t.Errorf("after %d came %d", future, next)
	}
	if next := tk.next(0); next <= last || next >= future {
		t.Errorf("after %d, and %d of another ID, came %d", last, future, next)
	}
}
