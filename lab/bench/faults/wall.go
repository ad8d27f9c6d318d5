//go:build !steppedclock

package faults

// setWall adds so many seconds to the wall clock, in place of what was added
// before, and leaves the monotonic one alone. It is nil in a binary that
// buildStepped has not built.
var setWall func(seconds int64)
