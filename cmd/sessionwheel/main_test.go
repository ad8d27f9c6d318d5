package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

func TestUsage_AMistakeIsOneLineThatNamesItAndTheHelp(t *testing.T) {
	t.Parallel()
	noKey := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(noKey, nil, 0o600))
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"dmeo"}, []string{`unknown command "dmeo"`, `did you mean "demo"?`, "sessionwheel --help"}},
		{[]string{"srve", "--http", "8080"}, []string{`did you mean "serve"?`}},
		{[]string{"start"}, []string{`unknown command "start"`, "bench, cluster, demo, load, serve, soak, top", "sessionwheel --help"}},
		{[]string{"--http"}, []string{"--http needs a value: a port", "8080", "host:port"}},
		{[]string{"serve", "--http="}, []string{"--http needs a value: a port", "8080", "host:port", "serve --help"}},
		{[]string{"demo", "--http", "--clients", "3"}, []string{"--http needs a value: a port", "8080", "host:port", "demo --help"}},
		{[]string{"demo", "--idle"}, []string{"--idle needs a value, such as 3s"}},
		{[]string{"--clients=0"}, []string{"--clients", "at least 1"}},
		{[]string{"demo", "now"}, []string{"unexpected argument now", "demo --help"}},
		{[]string{"--bogus"}, []string{"--bogus"}},
		{[]string{"--clients", "many"}, []string{"--clients", "many"}},
		{[]string{"demo", "--clients", "0"}, []string{"--clients", "at least 1", "demo --help"}},
		{[]string{"demo", "--idle", "3"}, []string{"--idle", "missing unit"}},
		{[]string{"demo", "--idle", "5ms"}, []string{"--idle", "100ms"}},
		{[]string{"demo", "--active", "1.5"}, []string{"--active", "0 to 1"}},
		{[]string{"demo", "--active", "NaN"}, []string{"--active", "0 to 1"}},
		{[]string{"demo", "--duration", "1s"}, []string{"--duration", "6s"}},
		{[]string{"serve", "--addr", "nowhere"}, []string{"--addr", "host:port", "serve --help"}},
		{[]string{"serve", "--split", "words"}, []string{"--split", "lines", "frames"}},
		{[]string{"serve", "--log-level", "loud"}, []string{"--log-level", "debug"}},
		{[]string{"serve", "--log-format", "xml"}, []string{"--log-format", "json"}},
		{[]string{"serve", "--idle=-1s"}, []string{"--idle", "0 means never"}},
		{[]string{"serve", "--max-sessions=-1"}, []string{"--max-sessions", "65,536"}},
		{[]string{"serve", "--max-sessions-per-ip=-1"}, []string{"--max-sessions-per-ip", "no limit"}},
		{[]string{"serve", "--tls-cert", noKey}, []string{"--tls-cert", "--tls-key"}},
		{[]string{"serve", "--tls-cert", noKey + "x", "--tls-key", noKey}, []string{"--tls-cert", "no such file"}},
		{[]string{"serve", "--drain", "0s"}, []string{"--drain"}},
		{[]string{"serve", "--http", "here"}, []string{"--http", "127.0.0.1:8080", `"here"`}},
		{[]string{"serve", "--http", "99999"}, []string{"--http", "127.0.0.1:8080"}},
		{[]string{"serve", "--http", "localhost:"}, []string{"--http", "127.0.0.1:8080"}},
		{[]string{"serve", "--http", "::1"}, []string{"--http", "127.0.0.1:8080"}},
		{[]string{"serve", "--pprof"}, []string{"--pprof", "--http"}},
		{[]string{"serve", "--metrics"}, []string{"--metrics needs --http"}},
		{[]string{"serve", "--http-close"}, []string{"--http-close needs --http"}},
		{[]string{"serve", "--http-open"}, []string{"--http-open needs --http"}},
		{[]string{"serve", "--http-token-file", noKey}, []string{"--http-token-file needs --http"}},
		{[]string{"serve", "--http", "0", "--http-token-file", noKey}, []string{"--http-token-file", "has no token", "at least 16 characters"}},
		{[]string{"serve", "--http", "[::]:8080"}, []string{"beyond this machine", "--http-token-file", "--http-open"}},
		{[]string{"demo", "--http", "192.0.2.1:8080"}, []string{"beyond this machine", "--http-token-file", "--http-open"}},
		{[]string{"serve", "--http-host", "a.example"}, []string{"--http-host needs --http"}},
		{[]string{"serve", "--http", "0", "--http-host", "http://a.example"}, []string{"--http-host", "ops.example.com"}},
		{[]string{"serve", "--http", "0", "--http-close", "--no-page"}, []string{"--http-close", "drop --no-page"}},
		{[]string{"serve", "--http", "0", "--no-page", "--no-healthz"}, []string{"--http has nothing left to serve"}},
		{[]string{"demo", "--http", "here"}, []string{"--http", "demo --help"}},
		{[]string{"top", "ftp://127.0.0.1/"}, []string{"ftp://127.0.0.1/", "http://127.0.0.1:8080/", "top --help"}},
		{[]string{"top", "--interval", "1ms"}, []string{"--interval", "100ms"}},
		{[]string{"top", "--rows", "501"}, []string{"--rows", "500"}},
		{[]string{"top", "--sort", "size"}, []string{"--sort", "remaining"}},
		{[]string{"load", "--active", "0"}, []string{"--active", "--idle"}},
		{[]string{"load", "--size", "0"}, []string{"--size", "65535"}},
		{[]string{"load", "--rate=-1"}, []string{"--rate"}},
		{[]string{"load", "--duration", "0s"}, []string{"--duration"}},
		{[]string{"load", "--idle", "1", "--idle-timeout", "30s"}, []string{"--duration", "--idle-timeout"}},
	} {
		o := consoletest.Parse(program(), tt.args...)
		require.Equal(t, console.ExitUsage, o.Status, "%v: %s", tt.args, o.Err)
		o.OneErrorLine(t, tt.want...)
	}
	o := consoletest.Run(t, "serve", "--bogus")
	require.Equal(t, console.ExitUsage, o.Status)
	o.OneErrorLine(t, "--bogus", "serve --help")
}

func TestHelp_AndVersionExitWithZeroAndFitTheTerminal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--help"}, []string{"demo", "serve", "load", "top", "cluster", "bench", "soak", "--version", "--clients=2000", "--http=ADDR"}},
		{[]string{"demo", "--help"}, []string{"--clients=2000", "--idle=3s", "--active=0.5", "--duration"}},
		{[]string{"serve", "--help"}, []string{"--addr", "--idle=5m", "--split", "--max-sessions-per-ip", "--tls-cert", "--drain=10s"}},
		{[]string{"serve", "--help"}, []string{"--http=ADDR", "--http-host", "--http-close", "--http-token-file=FILE", "--http-open", "--[no-]page", "--metrics", "--[no-]healthz", "--pprof"}},
		{[]string{"demo", "--help"}, []string{"--http=ADDR", "until Ctrl-C"}},
		{[]string{"top", "--help"}, []string{"[<url>]", "--interval=1s", "--once", "NO_COLOR", "Ctrl-C"}},
		{[]string{"load", "--help"}, []string{"--addr", "--active=100", "--idle-timeout", "--rate", "--tls-insecure"}},
		{[]string{"cluster", "--help"}, []string{"ls", "nodes", "where", "kick", "send", "watch", "SESSIONWHEEL_CLUSTER_TOKEN"}},
		{[]string{"cluster", "ls", "--help"}, []string{"--cluster=URL", "--json"}},
		{[]string{"soak", "--help"}, []string{"--duration=1m", "--seed", "--only", "--list", "--json", "--drill", "--cluster"}},
		{[]string{"soak", "--list"}, []string{"clock ", "library ", "model "}},
		{[]string{"soak", "--cluster", "--list"}, []string{"takeover ", "quorum "}},
		{[]string{"--version"}, []string{"sessionwheel "}},
		{[]string{"version"}, []string{"sessionwheel "}},
	} {
		o := consoletest.Run(t, tt.args...)
		require.Zero(t, o.Status, "%v", tt.args)
		require.Empty(t, o.Err)
		require.NotRegexp(t, `(?m)^.{81,}$`, o.Out)
		for _, w := range tt.want {
			require.Contains(t, o.Out, w)
		}
	}
}

func TestError_IsOneLineThatNamesTheAddressAndTheFix(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	addr := taken.Addr().String()

	o := consoletest.Run(t, "serve", "--addr", addr)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, addr, "in use", "--addr")

	o = consoletest.Run(t, "serve", "--addr", "127.0.0.1:0", "--http", addr)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, addr, "in use", "--http")

	noPEM := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(noPEM, []byte("not a certificate"), 0o600))
	o = consoletest.Run(t, "serve", "--addr", "127.0.0.1:0", "--tls-cert", noPEM, "--tls-key", noPEM)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, noPEM, "--tls-cert")

	free, err := loopback.Addrs(1)
	require.NoError(t, err)
	nobody := free[0]
	o = consoletest.Run(t, "load", "--addr", nobody)
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, nobody, "refused", "--addr", "sessionwheel serve")
}
