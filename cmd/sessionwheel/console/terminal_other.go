//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly && !windows

package console

import "os"

// terminalWidth takes nothing for a terminal here.
func terminalWidth(*os.File) (width int, ok bool) { return 0, false }
