package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// None of them starts, or builds, the program that has the cluster.
func TestUsage_WrongClusterFlagsAreOneLineThatNamesTheFlagAndTheFix(t *testing.T) {
	on := func(args ...string) []string {
		return append([]string{"serve", "--cluster", "nats://127.0.0.1:4222", "--node", "a"}, args...)
	}
	own := func(args ...string) []string {
		return append([]string{"serve", "--cluster", "embedded", "--node", "a"}, args...)
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"serve", "--node", "a"}, []string{"--node needs --cluster", "serve --help"}},
		{[]string{"serve", "--lease", "9s"}, []string{"--lease needs --cluster"}},
		{[]string{"serve", "--replicas", "3"}, []string{"--replicas needs --cluster"}},
		{[]string{"serve", "--on-lease-lost", "fence"}, []string{"--on-lease-lost needs --cluster"}},
		{[]string{"serve", "--degraded-login", "allow"}, []string{"--degraded-login needs --cluster"}},
		{[]string{"serve", "--cluster-storage", "memory"}, []string{"--cluster-storage needs --cluster"}},
		{[]string{"serve", "--streams", "2"}, []string{"--streams needs --cluster"}},
		{[]string{"serve", "--cluster-listen", "127.0.0.1:0"}, []string{"--cluster-listen needs --cluster"}},
		{[]string{"serve", "--cluster", "embedded"}, []string{"--cluster", "SESSIONWHEEL_CLUSTER", "needs --node NAME"}},
		{[]string{"serve", "--cluster", "here", "--node", "a"}, []string{"--cluster must be nats://HOST:PORT", `"here"`}},
		{[]string{"serve", "--cluster", "nats://a,http://b", "--node", "a"}, []string{"--cluster must be nats://HOST:PORT", "http://b"}},
		{on("--replicas", "2"), []string{`--replicas must be one of 1, 3, 5, not "2"`}},
		{on("--on-lease-lost", "drop"), []string{"--on-lease-lost must be one of", "keep", "fence"}},
		{on("--degraded-login", "maybe"), []string{"--degraded-login must be one of", "refuse", "allow"}},
		{on("--on-lease-lost", "fence", "--degraded-login", "allow"), []string{"--degraded-login allow", "--on-lease-lost fence", "one of them"}},
		{on("--cluster-storage", "disk"), []string{"--cluster-storage must be one of", "file", "memory"}},
		{on("--cluster-creds", "/no/such/file"), []string{"--cluster-creds", "no such file"}},
		{on("--cluster-token-file", "main.go", "--cluster-creds", "/dev/null"), []string{"--cluster-token-file", "--cluster-creds"}},
		{on("--cluster-token", "x"), []string{"--cluster-token"}},
		{[]string{"serve", "--node", "a", "--cluster", "tls://node:s3cret@broker:4222"}, []string{"--cluster has a user or a password", "set SESSIONWHEEL_CLUSTER"}},
		{[]string{"cluster", "ls", "--cluster", "nats://s3cret@broker:4222"}, []string{"--cluster has a user or a password", "set SESSIONWHEEL_CLUSTER"}},
		{on("--cluster-timeout", "0s"), []string{"--cluster-timeout must be more than 0"}},
		{on("--cluster-listen", "127.0.0.1:0"), []string{"--cluster-listen needs --cluster embedded"}},
		{on("--cluster-dir", "/tmp"), []string{"--cluster-dir needs --cluster embedded"}},
		{own("--replicas", "3"), []string{"--replicas must be 1 with --cluster embedded"}},
		{own("--cluster-storage", "memory", "--cluster-dir", "/tmp"), []string{"--cluster-dir is for --cluster-storage file"}},
		{own("--cluster-ca", "/dev/null"), []string{"--cluster-ca", "--cluster-token-file"}},
		{[]string{"cluster"}, []string{"cluster needs a command: kick, ls, nodes, send, watch, where", "cluster --help"}},
		{[]string{"cluster", "lss"}, []string{`unknown command "lss"`, `did you mean "ls"`}},
		{[]string{"cluster", "ls"}, []string{"--cluster is missing", "nats://127.0.0.1:4222", "sessionwheel cluster ls --help"}},
		{[]string{"cluster", "ls", "--cluster", "embedded"}, []string{"--cluster embedded is for serve"}},
		{[]string{"cluster", "where", "--cluster", "nats://a"}, []string{"<name>", "cluster where --help"}},
		{[]string{"cluster", "kick", "ann", "--cluster", "nats://a", "--reason", ""}, []string{"--reason must be"}},
		{[]string{"cluster", "where", "ann", "--cluster", "nats://s3cret@a:b:c"}, []string{"--cluster must be", "nats://a:b:c"}},
		{[]string{"demo", "--nodes", "1"}, []string{"--nodes must be from 2 to 9", "demo --help"}},
		{[]string{"demo", "--nodes", "3", "--http", "0"}, []string{"--http does not go with --nodes"}},
	} {
		o := consoletest.Parse(program(), tt.args...)
		require.Equal(t, console.ExitUsage, o.Status, "%v: %s", tt.args, o.Err)
		o.OneErrorLine(t, tt.want...)
		require.NotContains(t, o.Err, "s3cret")
	}
}

func TestHelp_OfServeTellsOfLeasesAndOfHealth(t *testing.T) {
	t.Parallel()
	o := consoletest.Run(t, "serve", "--help")
	help := strings.Join(strings.Fields(o.Prints(t)), " ")
	for _, want := range []string{
		`--on-lease-lost="keep"`, `--degraded-login="refuse"`, `--cluster-storage="file"`, "--replicas=1", "--streams=1", "($SESSIONWHEEL_CLUSTER)", "The variable SESSIONWHEEL_CLUSTER_TOKEN may have the token instead. No flag takes a secret itself.",
		"Serve /healthz, with --http: 200, or 503 while the server drains, and while it is a node that has lost its lease and refuses logins.",
	} {
		require.Contains(t, help, want)
	}
}
