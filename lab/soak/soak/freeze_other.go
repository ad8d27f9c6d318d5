//go:build !unix

package soak

import "context"

func freezeRound(context.Context, *Run) error {
	return leftOut("this system has no signals that stop and continue a process")
}
