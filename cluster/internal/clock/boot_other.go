//go:build !linux

package clock

import "time"

// bootTime is not known here.
func bootTime() (time.Duration, bool) { return 0, false }
