package timers

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestImpl_SupportsWhatItSays(t *testing.T) {
	for _, impl := range All() {
		t.Run("impl="+impl.Name, func(t *testing.T) {
			t.Parallel()
			if impl.How == "" || impl.Name == "" {
				t.Error("Name or How is empty")
			}
			const n = 100
			var expired atomic.Int64
			s, err := impl.New(Config{N: n, Idle: time.Minute, Keep: true, Expired: func(int64) { expired.Add(1) }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			for id := range int64(n) {
				s.Register(id, time.Minute)
			}
			for id := range int64(n) {
				s.Touch(id)
			}
			if _, unsupported := impl.Unsupported[Register]; !unsupported {
				s.RegisterClose(n)
			}
			_, unsupported := impl.Unsupported[ArmStop]
			armer, ok := s.(Armer)
			if ok == unsupported {
				t.Errorf("Unsupported[%q] is set: %v; it is an Armer: %v", ArmStop, unsupported, ok)
			}
			if ok {
				armer.NewArm()()
			}
			if got := expired.Load(); got != 0 {
				t.Errorf("%d sessions timed out; their timeout is a minute", got)
			}
		})
	}
}

func TestImpl_TimesSessionsOut(t *testing.T) {
	for _, impl := range All() {
		if _, unsupported := impl.Unsupported[Expire]; unsupported {
			continue
		}
		t.Run("impl="+impl.Name, func(t *testing.T) {
			t.Parallel()
			const n = 20
			ids := make(chan int64, 2*n)
			s, err := impl.New(Config{N: n, Idle: 100 * time.Millisecond, Expired: func(id int64) { ids <- id }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			for id := range int64(n) {
				s.Register(id, 50*time.Millisecond)
			}
			var got []int64
			for range n {
				select {
				case id := <-ids:
					got = append(got, id)
				case <-time.After(time.Minute):
					t.Fatalf("only %d of %d sessions timed out", len(got), n)
				}
			}
			slices.Sort(got)
			if got = slices.Compact(got); len(got) != n {
				t.Errorf("%d of %d sessions timed out, and some of them twice", len(got), n)
			}
		})
	}
}

func TestBaseline_TouchesNoFreshMemory(t *testing.T) {
	s := newBaseline(Config{N: 10, Keep: true})
	time.Sleep(time.Millisecond) // the time since the start is not 0
	for id := range int64(10) {
		s.Register(id, time.Minute)
		if s.h[id].active.Load() == 0 {
			t.Fatal("Register wrote nothing, so the first Touch is a page fault")
		}
	}
}

func TestByName_ReportsAnUnknownImplementation(t *testing.T) {
	if _, err := ByName("unknown"); err == nil {
		t.Error("ByName returned no error")
	}
}
