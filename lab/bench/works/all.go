package works

import (
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

const (
	thousand = 1_000
	million  = 1_000_000
)

// The implementations that a work is limited to where all of them would take
// too long.
var (
	goalsOnly = []string{Ours, "plain", "time.Timer", "sweep", "clock+store"}
	heavyOnly = []string{Ours, "plain", "time.Timer", "sweep"}
	ratioOnly = []string{Ours, "plain", "time.Timer", "clock+store"}
	someOnly  = []string{Ours, "plain", "time.Timer", "sweep", "antlabs/timer", "go-zero"}
	noOuqiang = []string{Ours, "plain", "time.Timer", "sweep", "antlabs/timer", "go-timewheel", "go-zero", "otter", "ttlcache"}
)

// perOp are the figures of the works that repeat one thing.
var perOp = []Metric{{Name: "ns/op", Digits: 1}, {Name: "CPU ns/op", Digits: 1}, {Name: "allocs/op", Digits: 2}}

// All lists the works.
func All() []Work {
	return []Work{
		{
			Name: "touch-hot", kind: timers.Touch, run: touchHot, SizeOf: "sessions",
			About:   "re-arm the idle timeout of one session, again and again, on one goroutine",
			Metrics: perOp,
			Full:    Scale{Sizes: []int{1}, Rounds: 5, Span: 400 * time.Millisecond},
			Quick:   Scale{Sizes: []int{1}, Rounds: 3, Span: 100 * time.Millisecond},
		},
		{
			Name: "touch", kind: timers.Touch, run: touchRandom, SizeOf: "sessions",
			About:   "re-arm the idle timeout of sessions at random, on every processor",
			Metrics: perOp,
			Full: Scale{
				Sizes: []int{thousand, 100 * thousand, million, 10 * million}, Rounds: 3, Span: 500 * time.Millisecond,
				Limit: 2 * time.Minute, Only: map[int][]string{
					million:      append(slices.Clone(noOuqiang), "clock+store", "clock+CAS"),
					10 * million: {Ours, "clock+store"},
				},
			},
			Quick: Scale{
				Sizes: []int{thousand, 100 * thousand, million}, Rounds: 2, Span: 100 * time.Millisecond,
				Only: map[int][]string{million: ratioOnly},
			},
		},
		{
			Name: "arm-stop", kind: timers.ArmStop, run: armStop, SizeOf: "sessions beside it",
			About:   "arm a timer for a minute and stop it, on every processor, while other sessions are pending",
			Metrics: perOp,
			Full:    Scale{Sizes: []int{million}, Rounds: 3, Span: 500 * time.Millisecond},
			Quick:   Scale{Sizes: []int{100 * thousand}, Rounds: 2, Span: 100 * time.Millisecond},
		},
		{
			Name: "register-close", kind: timers.Register, run: registerClose, SizeOf: "sessions beside it",
			About:   "register a session and close it, on every processor, while other sessions are in the table",
			Metrics: perOp,
			Full:    Scale{Sizes: []int{million}, Rounds: 3, Span: 500 * time.Millisecond, Only: map[int][]string{million: noOuqiang}},
			Quick:   Scale{Sizes: []int{100 * thousand}, Rounds: 2, Span: 100 * time.Millisecond, Only: map[int][]string{100 * thousand: someOnly}},
		},
		{
			Name: "memory", kind: timers.Register, run: memory, SizeOf: "sessions",
			About:   "heap and stacks that an idle session holds, table and timer included",
			Metrics: []Metric{{Name: "bytes/session", Digits: 0}},
			Full: Scale{
				Sizes: []int{million, 10 * million}, Rounds: 1, Limit: 2 * time.Minute,
				Only: map[int][]string{10 * million: {Ours, "plain"}},
			},
			Quick: Scale{Sizes: []int{200 * thousand}, Rounds: 1},
		},
		{
			Name: "expire", kind: timers.Expire, run: expire, SizeOf: "sessions",
			About: "all sessions time out at one instant",
			Metrics: []Metric{
				{Name: "last ms late", Digits: 0},
				{Name: "peak goroutines", Digits: 0},
				{Name: "peak/resting memory", Digits: 2},
				{Name: "CPU ms", Digits: 0},
				{Name: "first ms late", Digits: 1},
			},
			Full: Scale{
				Sizes: []int{million}, Rounds: 2, Limit: 3 * time.Minute,
				Only: map[int][]string{million: heavyOnly},
			},
			Quick: Scale{Sizes: []int{200 * thousand}, Rounds: 1, Only: map[int][]string{200 * thousand: someOnly}},
		},
		{
			Name: "steady", kind: timers.Touch, run: steady, SizeOf: "sessions",
			About: "every session active twice in its idle timeout: what the whole process spends, the one that touches included",
			Metrics: []Metric{
				{Name: "CPU ms/s", Digits: 1},
				{Name: "kept up", Digits: 2, Higher: true},
				{Name: "timed out", Digits: 0},
			},
			Full: Scale{
				Sizes: []int{100 * thousand, million}, Rounds: 2, Span: 10 * time.Second,
				Only: map[int][]string{100 * thousand: {Ours, "sweep"}, million: goalsOnly},
			},
			Quick: Scale{
				Sizes: []int{20 * thousand, 200 * thousand}, Rounds: 1, Span: 1600 * time.Millisecond,
				Only: map[int][]string{20 * thousand: {Ours, "sweep"}, 200 * thousand: goalsOnly},
			},
		},
		{
			Name: "stall", kind: timers.Register, run: stall, SizeOf: "idle sessions",
			About: "how long a Register takes while other sessions sit idle",
			Metrics: []Metric{
				{Name: "longest µs", Digits: 1},
				{Name: "p99.9 µs", Digits: 1},
				{Name: "p50 µs", Digits: 2},
			},
			Full:  Scale{Sizes: []int{million}, Rounds: 2, Span: 5 * time.Second, Only: map[int][]string{million: heavyOnly}},
			Quick: Scale{Sizes: []int{million}, Rounds: 1, Span: 2500 * time.Millisecond, Only: map[int][]string{million: {Ours, "sweep"}}},
		},
		{
			Name: "lateness", kind: timers.Expire, run: lateness, SizeOf: "sessions",
			About: "how late sessions time out whose deadlines are spread; below zero is early",
			Metrics: []Metric{
				{Name: "p99 ms", Digits: 2},
				{Name: "p50 ms", Digits: 2},
				{Name: "latest ms", Digits: 1},
				{Name: "earliest ms", Digits: 1},
			},
			Full: Scale{Sizes: []int{20 * thousand}, Rounds: 1, Span: 4 * time.Second},
			Quick: Scale{
				Sizes: []int{5 * thousand}, Rounds: 1, Span: 800 * time.Millisecond,
				Only: map[int][]string{5 * thousand: someOnly},
			},
		},
		{
			Name: "echo", run: echo, SizeOf: "idle connections beside 50 busy ones",
			About: "frames of 64 bytes, each connection sending the next when the last has come back",
			Metrics: []Metric{
				{Name: "frames/s", Digits: 0, Higher: true},
				{Name: "server CPU µs/frame", Digits: 2},
				{Name: "p50 µs", Digits: 0},
				{Name: "p99 µs", Digits: 0},
				{Name: "p99.9 µs", Digits: 0},
			},
			Full:  Scale{Sizes: []int{0, 10_000}, Rounds: 2, Span: 2 * time.Second},
			Quick: Scale{Sizes: []int{500}, Rounds: 2, Span: 300 * time.Millisecond},
		},
		{
			Name: "idle-connections", run: idleConnections, SizeOf: "connections",
			About: "heap and stacks that the server holds for a connection that echoed one frame and went quiet; gnet and nbio are event loops, which keep no goroutine for it",
			Metrics: []Metric{
				{Name: "bytes/connection", Digits: 0},
				{Name: "RSS bytes/connection", Digits: 0},
			},
			Full:  Scale{Sizes: []int{10_000}, Rounds: 1},
			Quick: Scale{Sizes: []int{1_000}, Rounds: 1},
		},
	}
}
