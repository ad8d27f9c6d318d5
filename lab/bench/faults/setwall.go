//go:build !steppedclock

package faults

// setWall sets the offset of this process's wall clock, in seconds. The monotonic
// clock is not affected. It is nil unless buildStepped built the binary.
var setWall func(seconds int64)
