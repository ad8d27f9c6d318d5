//go:build steppedclock

package faults

import "time"

var setWall = time.WallOffset.Store
