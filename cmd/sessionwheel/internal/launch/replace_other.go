//go:build !unix

package launch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// replace runs the program and waits for its end. A Ctrl-C reaches both; this one
// has its signals handled already and only waits.
func replace(exe string, args []string) error {
	cmd := exec.Command(exe, args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return console.StatusError(exit.ExitCode())
	case err != nil:
		return fmt.Errorf("starting %s: %w", exe, err)
	}
	return nil
}
