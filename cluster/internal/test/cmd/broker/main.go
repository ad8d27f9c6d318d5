// Command broker is a broker of the tests. They build it without the race detector, which
// would make it several times slower.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/sessionwheel/sessionwheel/cluster/internal/test/brokerd"
)

func main() {
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
