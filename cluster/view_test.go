package cluster

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func newTestReader() *reader {
	return &reader{
		c:        Config{LeaseTTL: time.Minute},
		peers:    make(map[string]*peer),
		noRecord: make(map[string]*peer),
		buried:   newBurials(),
	}
}

func TestView_RemembersADeadEpochAfterItsTombstone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReader()
		ends := func(epoch string, dead bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.addRecordLocked(epoch, beatRecord{Dead: dead}, 1)
			r.dropRecordLocked(epoch)
		}
		ends("dead", true)
		ends("silent", false)
		if !r.isKnownDead("dead") || r.isKnownDead("silent") {
			t.Error("only a tombstone makes an epoch dead")
		}
		time.Sleep(rememberDead)
		ends("later", true)
		if !r.isKnownDead("dead") {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Second)
		for i := range 100 {
			ends(fmt.Sprint(i), true)
			time.Sleep(rememberDead / 10)
		}
		if n := len(r.buried.byEpoch); n != 11 {
			t.Errorf("%d epochs are remembered", n)
		}
	})
}

func TestView_RemembersTheLastOfManyDeadEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReader()
		dies := func(epoch string) {
			r.addRecordLocked(epoch, beatRecord{Dead: true}, 1)
			r.dropRecordLocked(epoch)
			time.Sleep(time.Millisecond)
		}
		dies("oldest")
		dies("again")
		for i := range maxBuried - 2 {
			dies(fmt.Sprint(i))
		}
		dies("again") // "oldest" makes room for it
		if r.isKnownDead("oldest") || !r.isKnownDead("again") || !r.isKnownDead("0") {
			t.Error("the oldest one must make room, and that one alone")
		}
		dies("one more") // makes room by what is remembered of "again" twice
		if !r.isKnownDead("again") || !r.isKnownDead("0") || !r.isKnownDead("one more") {
			t.Error("forgotten too early")
		}
		for i := range 3 * maxBuried {
			dies(fmt.Sprint("later", i))
		}
		if n, m := len(r.buried.byEpoch), len(r.buried.order); n != maxBuried || m != maxBuried {
			t.Errorf("%d epochs are remembered, %d times", n, m)
		}
		if r.isKnownDead("again") || !r.isKnownDead(fmt.Sprint("later", 2*maxBuried)) {
			t.Error("not the last ones are remembered")
		}
	})
}

// A broker that has lost its last writes has lost a tombstone, and the epoch renews its lease. A
// broker that lags behind sends an old record.
func TestView_FindsADeadEpochAliveOnlyByALaterRecord(t *testing.T) {
	r := newTestReader()
	r.addRecordLocked("x", beatRecord{Dead: true}, 10)
	r.dropRecordLocked("x")
	r.addRecordLocked("x", beatRecord{}, 9)
	if !r.isKnownDead("x") {
		t.Error("an old record makes it alive")
	}
	r.addRecordLocked("x", beatRecord{}, 11)
	if r.isKnownDead("x") {
		t.Error("it has renewed its lease and counts as dead")
	}
}
