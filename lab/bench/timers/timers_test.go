package timers

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestEveryImplementationDoesWhatItSays(t *testing.T) {
	for _, impl := range All() {
		t.Run("impl="+impl.Name, func(t *testing.T) {
			t.Parallel()
			if impl.How == "" || impl.Name == "" {
				t.Error("it does not say how it is used")
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
			if _, not := impl.Not[Register]; !not {
				s.RegisterClose(n)
			}
			_, not := impl.Not[ArmStop]
			armer, can := s.(Armer)
			if can == not {
				t.Errorf("Not[%q] is set: %v, and it is an Armer: %v", ArmStop, not, can)
			}
			if can {
				armer.NewArm()()
			}
			if got := expired.Load(); got != 0 {
				t.Errorf("%d sessions timed out that had a minute", got)
			}
		})
	}
}

func TestEveryImplementationTimesSessionsOut(t *testing.T) {
	for _, impl := range All() {
		if _, not := impl.Not[Expire]; not {
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
				case <-time.After(10 * time.Second):
					t.Fatalf("only %d of %d sessions timed out", len(got), n)
				}
			}
			slices.Sort(got)
			if got = slices.Compact(got); len(got) != n {
				t.Errorf("sessions timed out twice: %d different ones of %d", len(got), n)
			}
		})
	}
}

func TestTheFloorTouchesNoFreshMemory(t *testing.T) {
	s := newBare(Config{N: 10, Keep: true})
	time.Sleep(time.Millisecond) // so that the time since its start is not 0
	for id := range int64(10) {
		s.Register(id, time.Minute)
		if s.h[id].active.Load() == 0 {
			t.Fatal("Register wrote nothing: the first Touch would be a page fault")
		}
	}
}

func TestAnUnknownNameIsAnError(t *testing.T) {
	if _, err := ByName("nobody"); err == nil {
		t.Error("ByName found nobody")
	}
}
