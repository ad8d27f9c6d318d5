//go:build !unix || freebsd || dragonfly

// Package openfiles makes sure that a process may hold as many open files as it
// needs.
package openfiles

// Need does nothing here: the standard library cannot read this system's limit of
// open files in the usual way.
func Need(int, string) error { return nil }

// Limit returns 0: the limit is not known.
func Limit() int { return 0 }
