//go:build !unix || freebsd || dragonfly

package soak

import (
	"errors"
	"os"
)

// canExhaust tells whether descriptors can be used up here.
const canExhaust = false

func openFiles() int { return -1 }

func limitFiles(int) (func() error, error) {
	return nil, errors.New("no limit of open files is known here")
}

func openNothing() (*os.File, error) { return os.Open(os.DevNull) }

func outOfFiles(error) bool { return false }
