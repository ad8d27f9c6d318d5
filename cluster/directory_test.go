package cluster

import (
	"fmt"
	"testing"
)

// Nodes of different versions share a directory, so an ID keeps its stream for ever.
func TestDirectory_AnIDKeepsItsStream(t *testing.T) {
	d := make(directory, 5)
	for i := range d {
		d[i] = new(part)
	}
	var got string
	for _, id := range []string{"", "a", "dev-1", "dev-2", "Größe", "192.0.2.7:80"} {
		for i := range d {
			if d.of(id) == d[i] {
				got += fmt.Sprint(i)
			}
		}
	}
	if want := "210441"; got != want {
		t.Errorf("streams: %s, want %s", got, want)
	}
}
