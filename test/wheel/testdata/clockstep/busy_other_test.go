//go:build !unix

package clockstep

import (
	"runtime"
	"runtime/metrics"
)

// busySeconds is the time that processors have spent on Go code so far, which
// the runtime brings up to date at a collection.
func busySeconds() float64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64()
}
