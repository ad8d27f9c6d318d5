// Command broker is a broker of the tests. They build it without the race detector, which
// would make it several times slower. Its argument is a brokerd.Arg as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/sessionwheel/sessionwheel/cluster/internal/test/brokerd"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "broker: give it one argument, a brokerd.Arg as JSON")
		os.Exit(2)
	}
	var a brokerd.Arg
	err := json.Unmarshal([]byte(os.Args[1]), &a)
	if err == nil {
		err = brokerd.Run(a, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		os.Exit(1)
	}
}
