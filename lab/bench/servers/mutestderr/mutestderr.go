// Package mutestderr discards what other packages print to standard error while
// they are initialized. Before main runs, zinx complains there that it has no
// configuration file.
//
// Go initializes packages in the order of their import paths, each as soon as
// its own imports are initialized. This package imports only os, so it precedes
// all packages that import net/http, as zinx does. Package servers imports zinx,
// so it comes after it, and restores os.Stderr.
package mutestderr

import "os"

// Stderr is the original os.Stderr.
var Stderr = os.Stderr

func init() {
	if f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = f
	}
}
