// Package hush keeps packages quiet that print to the standard error as soon as
// they are linked in: zinx complains there that it has no configuration file,
// before main runs.
//
// It works because Go initialises the first package, by import path, whose
// imports are initialised: this one needs package os alone, and so comes before
// those that need net/http. Package servers, which imports the noisy ones and so
// comes after them, puts the standard error back.
package hush

import "os"

// Stderr is the standard error.
var Stderr = os.Stderr

func init() {
	if f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = f
	}
}
