package harness

import "runtime"

// Heap returns the bytes of heap in use after garbage collection.
func Heap() int64 {
	var m runtime.MemStats
	for range 3 { // sync.Pools are empty after two
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
