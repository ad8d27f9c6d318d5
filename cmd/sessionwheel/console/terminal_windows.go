package console

import (
	"os"
	"syscall"
)

// terminalWidth reports whether f is a console. Its width is not known here: 0.
func terminalWidth(f *os.File) (width int, ok bool) {
	var mode uint32
	return 0, syscall.GetConsoleMode(syscall.Handle(f.Fd()), &mode) == nil
}
