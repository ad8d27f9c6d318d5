package measure

import (
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

const (
	thousand = 1_000
	million  = 1_000_000
)

// A workload measures only these implementations at the sizes where all of them
// would take too long.
var (
	goalsOnly = []string{Ours, "plain", "time.Timer", "sweep", "clock+store"}
	heavyOnly = []string{Ours, "plain", "time.Timer", "sweep"}
	ratioOnly = []string{Ours, "plain", "time.Timer", "clock+store"}
	someOnly  = []string{Ours, "plain", "time.Timer", "sweep", "antlabs/timer", "go-zero"}
	loopOnly  = []string{Ours, "net+deadline", "gnet"}
	bareOnly  = []string{Ours, "net+deadline"}
	noOuqiang = []string{Ours, "plain", "time.Timer", "sweep", "antlabs/timer", "go-timewheel", "go-zero", "otter", "ttlcache"}
)

// perOp lists the metrics of the workloads that repeat one operation.
var perOp = []Metric{{Name: "ns/op", Digits: 1}, {Name: "CPU ns/op", Digits: 1}, {Name: "allocs/op", Digits: 2}}

// perFrame lists the metrics of the workloads that echo.
var perFrame = []Metric{
	{Name: "frames/s", Digits: 0, Higher: true},
	{Name: "server CPU µs/frame", Digits: 2},
	{Name: "p50 µs", Digits: 0},
	{Name: "p99 µs", Digits: 0},
	{Name: "p99.9 µs", Digits: 0},
}

// perConnection lists the metrics of the workloads with idle connections.
var perConnection = []Metric{{Name: "bytes/connection", Digits: 0}, {Name: "RSS bytes/connection", Digits: 0}}

// Workloads lists the workloads in the order in which a run measures them.
func Workloads() []Workload {
	return []Workload{
		{
			Name: "touch-hot", kind: timers.Touch, run: touchHot, SizeUnit: "sessions", MinSize: 1,
			About:   "re-arm the idle timeout of one session on one goroutine",
			Metrics: perOp,
			Full:    Scale{Sizes: []int{1}, Rounds: 5, Span: 400 * time.Millisecond},
			Quick:   Scale{Sizes: []int{1}, Rounds: 3, Span: 100 * time.Millisecond},
		},
		{
			Name: "touch", kind: timers.Touch, run: touchRandom, SizeUnit: "sessions", MinSize: 1,
			About:   "re-arm the idle timeout of random sessions on every processor",
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
			Name: "arm-stop", kind: timers.ArmStop, run: armStop, SizeUnit: "sessions beside it", MinSize: 1,
			About:   "arm a timer for a minute and stop it, on every processor, beside pending sessions",
			Metrics: perOp,
			Full:    Scale{Sizes: []int{million}, Rounds: 3, Span: 500 * time.Millisecond},
			Quick:   Scale{Sizes: []int{100 * thousand}, Rounds: 2, Span: 100 * time.Millisecond},
		},
		{
			Name: "register-close", kind: timers.Register, run: registerClose, SizeUnit: "sessions beside it", MinSize: 1,
			About:   "register a session and close it, on every processor, beside other sessions",
			Metrics: perOp,
			Full:    Scale{Sizes: []int{million}, Rounds: 3, Span: 500 * time.Millisecond, Only: map[int][]string{million: noOuqiang}},
			Quick:   Scale{Sizes: []int{100 * thousand}, Rounds: 2, Span: 100 * time.Millisecond, Only: map[int][]string{100 * thousand: someOnly}},
		},
		{
			Name: "memory", kind: timers.Register, run: memory, SizeUnit: "sessions", MinSize: 1,
			About:   "heap and stacks of an idle session, table and timer included",
			Metrics: []Metric{{Name: "bytes/session", Digits: 0}},
			Full: Scale{
				Sizes: []int{million, 10 * million}, Rounds: 1, Limit: 2 * time.Minute,
				Only: map[int][]string{10 * million: {Ours, "plain"}},
			},
			Quick: Scale{Sizes: []int{200 * thousand}, Rounds: 1},
		},
		{
			Name: "expire", kind: timers.Expire, run: expire, SizeUnit: "sessions", MinSize: 1,
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
			Name: "steady", kind: timers.Touch, run: steady, SizeUnit: "sessions", MinSize: 1,
			About: "each session is active twice in its idle timeout; the processor time of the whole process, the touching included",
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
			Name: "stall", kind: timers.Register, run: stall, SizeUnit: "idle sessions", MinSize: 1,
			About: "how long Register takes beside idle sessions",
			Metrics: []Metric{
				{Name: "longest µs", Digits: 1},
				{Name: "p99.9 µs", Digits: 1},
				{Name: "p50 µs", Digits: 2},
			},
			Full:  Scale{Sizes: []int{million}, Rounds: 2, Span: 5 * time.Second, Only: map[int][]string{million: heavyOnly}},
			Quick: Scale{Sizes: []int{million}, Rounds: 1, Span: 2500 * time.Millisecond, Only: map[int][]string{million: {Ours, "sweep"}}},
		},
		{
			Name: "lateness", kind: timers.Expire, run: lateness, SizeUnit: "sessions", MinSize: 1,
			About: "how late sessions time out whose deadlines are spread over some seconds; below zero is early",
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
			Name: "echo", run: echo(busyConns), SizeUnit: "idle connections beside 50 busy ones",
			About:   "frames of 64 bytes; each connection sends the next one when the last has come back",
			Metrics: perFrame,
			Full:    Scale{Sizes: []int{0, 9 * thousand}, Rounds: 2, Span: 2 * time.Second},
			Quick:   Scale{Sizes: []int{500}, Rounds: 2, Span: 300 * time.Millisecond},
		},
		{
			Name: "echo-one", run: echo(1), SizeUnit: "idle connections beside a busy one",
			About:   "frames of 64 bytes; one connection sends the next one when the last has come back",
			Metrics: perFrame,
			Full:    Scale{Sizes: []int{0}, Rounds: 3, Span: 2 * time.Second},
			Quick:   Scale{Sizes: []int{0}, Rounds: 2, Span: 300 * time.Millisecond},
		},
		{
			Name: "wake", run: wake, SizeUnit: "connections", MinSize: 1,
			About: "round trip of the first frame after 3 s of silence, one connection after the other each 4 ms; between them, that of a connection which was active just before",
			Metrics: []Metric{
				{Name: "p99 µs", Digits: 0},
				{Name: "p50 µs", Digits: 0},
				{Name: "active p99 µs", Digits: 0},
				{Name: "active p50 µs", Digits: 0},
				{Name: "p99 µs later", Digits: 0},
			},
			Full: Scale{
				Sizes: []int{2 * thousand}, Rounds: 3, Span: 3 * time.Second,
				Only: map[int][]string{2 * thousand: bareOnly},
			},
			Quick: Scale{Sizes: []int{500}, Rounds: 1, Span: 3 * time.Second, Only: map[int][]string{500: bareOnly}},
		},
		{
			Name: "idle-connections", run: idleConnections(overTCP), SizeUnit: "connections", MinSize: 1,
			About:   "heap and stacks of the server, and its resident set, for a connection that echoed one frame and is idle",
			Metrics: perConnection,
			Full:    Scale{Sizes: []int{9 * thousand}, Rounds: 1},
			Quick:   Scale{Sizes: []int{thousand}, Rounds: 1},
		},
		{
			Name: "idle-tls", kind: kindTLS, run: idleConnections(overTLS), SizeUnit: "TLS connections", MinSize: 1,
			About:   "heap and stacks of the server, and its resident set, for a TLS connection that echoed one frame and is idle",
			Metrics: perConnection,
			Full:    Scale{Sizes: []int{9 * thousand}, Rounds: 1, Limit: 2 * time.Minute},
			Quick:   Scale{Sizes: []int{thousand}, Rounds: 1},
		},
		{
			Name: "idle-gc", run: idleGC, SizeUnit: "idle connections",
			About: "a garbage collection of the server beside idle connections: its processor time, and how long it stops the server",
			Metrics: []Metric{
				{Name: "CPU µs/GC", Digits: 0},
				{Name: "pause µs/GC", Digits: 0},
			},
			Full:  Scale{Sizes: []int{9 * thousand}, Rounds: 3, Only: map[int][]string{9 * thousand: loopOnly}},
			Quick: Scale{Sizes: []int{thousand}, Rounds: 1, Only: map[int][]string{thousand: loopOnly}},
		},
		{
			Name: "fan-out", kind: kindFanOut, run: fanOut, SizeUnit: "subscribers", MinSize: 2,
			About: "messages of 4 KB to all subscribers, of which one in a hundred never reads: at full speed without those, then 1,500 messages at half of that speed without and with them",
			Metrics: []Metric{
				{Name: "deliveries/s", Digits: 0, Higher: true},
				{Name: "CPU µs/delivery", Digits: 2},
				{Name: "half rate CPU", Digits: 2},
				{Name: "Post p50 µs", Digits: 0},
				{Name: "Post p99 µs", Digits: 0},
				{Name: "p50 with/without slow", Digits: 2},
				{Name: "p99 with/without slow", Digits: 2},
				{Name: "arrived %", Digits: 2, Higher: true},
				{Name: "slow closed %", Digits: 0, Higher: true},
				{Name: "bytes/subscriber", Digits: 0},
				{Name: "peak RSS MB", Digits: 0},
			},
			Full:  Scale{Sizes: []int{thousand}, Rounds: 3, Span: 4 * time.Second, Limit: 4 * time.Minute},
			Quick: Scale{Sizes: []int{100}, Rounds: 1, Span: 300 * time.Millisecond},
		},
	}
}
