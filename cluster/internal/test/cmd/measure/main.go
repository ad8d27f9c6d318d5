// Command measure measures what the session directory costs. It prints a table to standard
// output, and can write it as CSV. From the root of the checkout:
//
//	go run ./cluster/internal/test/cmd/measure
//
// The brokers are child processes on the loopback, and the nodes are in this process. It
// reads the CPU time and the memory of the brokers from /proc, so it needs Linux. It takes
// about three minutes.
package main

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"text/tabwriter"
	"time"
)

// row is one figure of the table.
type row struct {
	work    string
	size    int // sessions, or nodes
	brokers int
	metric  string
	value   float64
}

// measurement collects the figures of all parts.
type measurement struct {
	sessions int
	dir      string // for the brokers' files; removed at the end
	rows     []row
}

func (m *measurement) add(work string, size, brokers int, metric string, value float64) {
	m.rows = append(m.rows, row{work, size, brokers, metric, value})
	fmt.Fprintf(os.Stderr, "%s, %d, brokers=%d: %s %.4g\n", work, size, brokers, metric, value)
}

func main() {
	if arg := os.Getenv(brokerVar); arg != "" {
		if err := beBroker([]byte(arg)); err != nil {
			fmt.Fprintln(os.Stderr, "measure: broker:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func run() error {
	file := flag.String("csv", "docs/bench/cluster.csv", "where the figures are written to; \"\": nowhere")
	sessions := flag.Int("sessions", 100_000, "how many idle sessions there are, and are reconciled")
	only := flag.String("only", "", "one of rates, idle, reconcile, restart and growth; what the others measure is not written")
	flag.Parse()
	parts := []func(context.Context, *measurement) error{rates, idle, reconcile, restart, growth}
	if i := slices.Index([]string{"rates", "idle", "reconcile", "restart", "growth"}, *only); i >= 0 {
		parts = parts[i : i+1]
	} else if *only != "" {
		return fmt.Errorf("-only is %q: use rates, idle, reconcile, restart or growth", *only)
	}
	if *sessions < 1 || flag.NArg() > 0 {
		return fmt.Errorf("-sessions is %d and there are %d arguments: use at least 1, and none", *sessions, flag.NArg())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "sessionwheel-measure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &measurement{sessions: *sessions, dir: dir}
	before := load()
	for _, part := range parts {
		if err := part(ctx, m); err != nil {
			return err
		}
	}
	fmt.Printf("%s %s/%s, %d processors, load average %s before and %s after\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), before, load())
	table(os.Stdout, m.rows)
	if *file == "" {
		return nil
	}
	return write(*file, m.rows)
}

// load returns the machine's load average of the last minute.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	var one string
	if _, err := fmt.Sscan(string(b), &one); err != nil {
		return "unknown"
	}
	return one
}

func format(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func table(out io.Writer, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "work\tsize\tbrokers\tmetric\tvalue")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", r.work, r.size, r.brokers, r.metric, format(r.value))
	}
	w.Flush()
}

func write(path string, rows []row) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	records := [][]string{{"work", "size", "brokers", "metric", "value"}}
	for _, r := range rows {
		records = append(records, []string{r.work, strconv.Itoa(r.size), strconv.Itoa(r.brokers), r.metric, format(r.value)})
	}
	if err := w.WriteAll(records); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// pause waits for d. It returns an error if ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
