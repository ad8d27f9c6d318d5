//go:build unix

package launch

import (
	"fmt"
	"os"
	"syscall"
)

// replace runs the program in this process, which then is no longer this program.
// So a Ctrl-C reaches it once, and not a second time from here.
func replace(exe string, args []string) error {
	return fmt.Errorf("starting %s: %w", exe, syscall.Exec(exe, args, os.Environ()))
}
