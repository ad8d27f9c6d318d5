package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// runBroker is a process that is a broker, with the configuration at path, until it
// is killed. It says where it listens.
func runBroker(path string) (status int) {
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		return console.ExitRuntime
	}
	o.NoLog = true
	srv, err := server.NewServer(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		return console.ExitRuntime
	}
	srv.Start()
	if !srv.ReadyForConnections(consoletest.Patience) {
		fmt.Fprintln(os.Stderr, "broker: it did not start")
		return console.ExitRuntime
	}
	fmt.Fprintln(os.Stderr, "broker at", srv.ClientURL())
	srv.WaitForShutdown()
	return 0
}

// launchBroker starts a broker, which says in NODE_PASSWORD what a user's password
// is.
func launchBroker(t *testing.T, config string) (p *consoletest.Process, url string) {
	t.Helper()
	cmd := consoletest.Command(t)
	cmd.Env = append(cmd.Env, "NODE_PASSWORD="+password, "SESSIONWHEEL_TEST_BROKER="+written(t, "broker.conf", config))
	p = consoletest.Start(t, nil, cmd)
	return p, p.Await(`broker at (\S+)\n`)
}

// lone is the configuration of a broker on a free port with JetStream, and with
// what is given.
func lone(t *testing.T, config string) string {
	return fmt.Sprintf("%s\nlisten: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\n", config, t.TempDir())
}

// written is the path of a file with the text.
func written(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// routePort is a free port for the routes between brokers, which have to know it
// beforehand. It is none that a connection or port 0 might be given meanwhile.
func routePort(t *testing.T) (addr string) {
	t.Helper()
	for {
		addr = fmt.Sprint("127.0.0.1:", 10_000+rand.N(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			require.NoError(t, l.Close())
			return addr
		}
	}
}

// launchManuals starts three brokers as the manual has them, but for addresses and
// files.
func launchManuals(t *testing.T, config, cert, key string) (brokers [3]*consoletest.Process, urls [3]string) {
	t.Helper()
	routes := [3]string{routePort(t), routePort(t), routePort(t)}
	for i := range brokers {
		own := strings.NewReplacer(
			"server_name: broker-1", fmt.Sprintf("server_name: broker-%d", i+1),
			"/etc/nats/broker.pem", cert, "/etc/nats/broker-key.pem", key, "/etc/nats/ca.pem", cert,
			"/var/lib/nats", t.TempDir(),
			"0.0.0.0:4222", "127.0.0.1:-1", "127.0.0.1:8222", "127.0.0.1:-1", "0.0.0.0:6222", routes[i],
			"broker-1:6222", routes[0], "broker-2:6222", routes[1], "broker-3:6222", routes[2],
		).Replace(config)
		brokers[i], urls[i] = launchBroker(t, own)
	}
	return brokers, urls
}
