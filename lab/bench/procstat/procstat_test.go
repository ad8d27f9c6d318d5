package procstat

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestResidentSet_CountsThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	if got := ResidentSet(os.Getpid()); got < 1<<20 || got > 64<<30 {
		t.Errorf("this process has %d bytes", got)
	}
	if got := ResidentSet(-1); got != 0 {
		t.Errorf("a process that does not exist has %d bytes", got)
	}
}

func TestInUse_CountsTheHeapThatIsReachable(t *testing.T) {
	before := InUse()
	kept := make([]byte, 32<<20)
	during := InUse()
	runtime.KeepAlive(kept)
	if during < before+31<<20 { // the rest of the process may have become smaller
		t.Errorf("%d bytes before and %d with 32 MiB more", before, during)
	}
	if after := InUse(); after > before+16<<20 {
		t.Errorf("%d bytes before and %d afterwards", before, after)
	}
}

func TestCollect_CountsWhatTheCollectionsTake(t *testing.T) {
	before := Collections()
	cpu, pause := Collect(5)
	if n := Collections() - before; n < 5 {
		t.Errorf("%d collections", n)
	}
	if cpu <= 0 || pause <= 0 || pause > time.Minute {
		t.Errorf("they took %v of processor time, and %v of pauses", cpu, pause)
	}
}

func TestWatchPeaks_SeesWhatIsGoneAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := WatchPeaks()
		quit := make(chan struct{})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { <-quit })
		}
		kept := make([]byte, 32<<20)
		time.Sleep(10 * time.Millisecond)
		runtime.KeepAlive(kept)
		close(quit)
		all.Wait()
		time.Sleep(10 * time.Millisecond)
		goroutines, memory := p.Stop()
		if goroutines < 100 || memory < 32<<20 {
			t.Errorf("%d goroutines and %d bytes", goroutines, memory)
		}
	})
}

func TestLimitMemory_CancelsOnlyWhenItIsExceeded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		if !<-LimitMemory(ctx, cancel, os.Getpid(), 1) || ctx.Err() == nil {
			t.Error("a limit of one byte was not exceeded")
		}
		ctx, cancel = context.WithCancel(t.Context())
		exceeded := LimitMemory(ctx, cancel, os.Getpid(), 1<<62)
		time.Sleep(10 * limitInterval)
		if ctx.Err() != nil {
			t.Error("a limit beyond any machine was exceeded")
		}
		cancel()
		if <-exceeded {
			t.Error("a limit beyond any machine was reported as exceeded")
		}
	})
}
