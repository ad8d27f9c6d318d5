package flags

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

// Soak is the flags of soak.
type Soak struct {
	Duration time.Duration `default:"1m" help:"Start new rounds for this long. Each scenario has at least one round, and a round that has started runs to its end."`
	Seed     uint64        `default:"0" help:"Seed of the rounds, to repeat a run. 0 takes a random one, which is printed."`
	Cluster  bool          `help:"Soak a cluster: three nodes and one or three brokers, each in a process of its own, all on this machine."`
	Only     string        `placeholder:"REGEXP" want:"a regular expression, such as 'network|books'" help:"Run only the scenarios whose name matches this regular expression."`
	List     bool          `help:"List the scenarios and exit."`
	JSON     bool          `name:"json" help:"Print the result as JSON and nothing else."`
	Drill    bool          `help:"Test the soak itself, which must then fail: what is checked gets half of each timeout, and the nodes of a cluster ignore evictions."`

	only *regexp.Regexp // set by Validate
}

// Help is the text below the summary of soak --help.
func (Soak) Help() string {
	return "The soak stops at the first broken guarantee with exit status 1, and prints the command that starts with the same round. " +
		"Two scenarios, and one with --cluster, build a program from a checkout with the go command; without a checkout or the go command they are left out. " +
		"A round with --cluster takes 10 to 60 seconds, and longer on a busy machine. " +
		"All processes end with this one, however it ends. " +
		"Ctrl-C ends the soak early; it still prints its report. " +
		"The value shown after a flag is its default."
}

// Validate checks the flags.
func (c *Soak) Validate() (err error) {
	if c.Duration <= 0 {
		return fmt.Errorf("--duration must be more than 0, not %v: try 1m", c.Duration)
	}
	if c.only, err = regexp.Compile(c.Only); err != nil {
		return fmt.Errorf("--only is not a regular expression: %w", err)
	}
	if len(c.Selected()) == 0 {
		return fmt.Errorf("--only %q matches no scenario: there are %s", c.Only, Names(c.All()))
	}
	return nil
}

// Scenario is one kind of trouble that a soak makes.
type Scenario struct {
	Name  string
	About string // what is done or what must hold, in one line
}

// Scenarios are those of a soak without --cluster, in the order in which they take
// turns.
var Scenarios = []Scenario{
	{"clock", "the wall clock is set back and forth under load"},
	{"library", "the library beneath stalls, jumps, fires early, dies, blocks"},
	{"freeze", "a server is stopped beyond its idle timeout and continued"},
	{"starvation", "one processor, busy goroutines, garbage and little memory"},
	{"callbacks", "callbacks block, panic, call back in and close what called them"},
	{"network", "peers that reset, stall, trickle, send garbage; no descriptors"},
	{"books", "a million sessions: takeover, kicks, expiry, shutdown at once"},
	{"model", "random operations on wheels and pools against a simple model"},
}

// ClusterScenarios are those of a soak with --cluster, likewise.
var ClusterScenarios = []Scenario{
	{"takeover", "thousands of logins contend for five IDs on three nodes"},
	{"kill", "a node with 10,000 sessions is killed"},
	{"stop-keep", "a node stands still longer than its lease; KeepServing"},
	{"stop-fence", "the same; Fence"},
	{"cut-keep", "a node is cut off from the broker; KeepServing, RefuseLogin"},
	{"cut-admit", "the same; KeepServing, AllowLogin"},
	{"cut-fence", "the same; Fence"},
	{"restart", "the broker is restarted or killed, and back at once"},
	{"outage", "the broker is away for longer than the leases"},
	{"memory", "the broker is restarted and has lost all: memory storage"},
	{"storm", "all users log in elsewhere as the broker comes back"},
	{"storm-node", "a node is killed, and all its users log in elsewhere at once"},
	{"leave", "a node leaves under load, and its sessions take long to close; Fence"},
	{"rejoin", "nodes leave under load and join again, one after the other; Fence"},
	{"lost", "the directory's stream is deleted and purged"},
	{"full", "the directory reaches its MaxBytes, and has room again"},
	{"denied", "the broker refuses the nodes' password for a while"},
	{"slow", "the broker's answers take 0.2 to 0.9 s, as with a slow disk"},
	{"clock", "the broker's wall clock is set; after a day its records expire"},
	{"rolling", "three brokers are restarted one by one"},
	{"leader", "the broker that leads of three is killed"},
	{"quorum", "two brokers of three are killed, for up to a lease and a half"},
	{"storm-lead", "the leader of three is killed as all users log in elsewhere"},
	{"corrupt", "files of one broker of three are damaged, then it is replaced"},
}

// All returns the scenarios that Only selects from.
func (c *Soak) All() []Scenario {
	if c.Cluster {
		return ClusterScenarios
	}
	return Scenarios
}

// Selected returns the scenarios that Only selects. Call it after Validate.
func (c *Soak) Selected() []Scenario {
	var some []Scenario
	for _, s := range c.All() {
		if c.only.MatchString(s.Name) {
			some = append(some, s)
		}
	}
	return some
}

// Matching returns Only, compiled. Call it after Validate.
func (c *Soak) Matching() *regexp.Regexp { return c.only }

// PrintList prints the scenarios, for List.
func (c *Soak) PrintList(sc *console.Screen) {
	for _, s := range c.All() {
		sc.Printf("%-11s %s", s.Name, s.About)
	}
}

// Names joins the names of scenarios.
func Names(scenarios []Scenario) string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}
