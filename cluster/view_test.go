package cluster

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestView_RemembersADeadEpochAfterItsTombstone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{
			c:        Config{LeaseTTL: time.Minute},
			peers:    make(map[string]*peer),
			noRecord: make(map[string]*peer),
			buried:   make(map[string]time.Time),
		}
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
		if n := len(r.buried); n != 11 {
			t.Errorf("%d epochs are remembered", n)
		}
	})
}
