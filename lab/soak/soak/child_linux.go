package soak

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill a child when this process has ended in whatever
// way. It would also with the thread that starts the child: the runtime's do not
// end.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
