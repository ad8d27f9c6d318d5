//go:build !unix && !nocluster

package soak

import "context"

func stopNode(context.Context, *fleet) error {
	return leftOut("this system has no signals that stop and continue a process")
}
