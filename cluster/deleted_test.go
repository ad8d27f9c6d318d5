package cluster

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeletions_AreRememberedForAsLongAsABrokerMayForgetThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deletions
		want := func(all bool, ids ...string) {
			t.Helper()
			have, complete := d.recent()
			slices.Sort(have)
			if !slices.Equal(have, ids) || complete != all {
				t.Fatalf("%v, all: %v", have, complete)
			}
		}
		want(true)
		d.add("a")
		d.add("b")
		time.Sleep(rememberDeletions)
		d.add("c")
		want(true, "a", "b", "c")
		time.Sleep(time.Second)
		d.add("b")
		want(true, "a", "b", "c")
		time.Sleep(rememberDeletions + 1)
		d.add("d")
		want(true, "b", "d")
	})
}

func TestDeletions_ThatAreTooManyAreNotAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deletions
		add := func(n int) {
			for i := range n {
				d.add(fmt.Sprint(i))
			}
		}
		complete := func() bool {
			_, all := d.recent()
			return all
		}
		add(maxDeletions)
		if !complete() {
			t.Fatal("as many as there may be are all")
		}
		add(maxDeletions + 1000)
		if have, all := d.recent(); all || len(have) > maxDeletions+1 {
			t.Fatal(len(have), all)
		}
		time.Sleep(rememberDeletions + 1)
		add(1)
		if complete() {
			t.Fatal("some of the older ones are missing")
		}
		time.Sleep(rememberDeletions + 1)
		add(1)
		if !complete() {
			t.Fatal("it has forgotten the older ones")
		}
	})
}
