package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// manualBlock returns the code block of docs/cluster.md that begins with the given text.
func manualBlock(t *testing.T, begin string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/cluster.md")
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(text), "```hcl\n"+begin)
	require.True(t, ok, "the manual has no such configuration")
	config, _, ok := strings.Cut(after, "```\n")
	require.True(t, ok)
	return begin + config
}

// certify writes a self-signed certificate for an address, and its key.
func certify(t *testing.T, dir, host string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"broker.pem":     {Type: "CERTIFICATE", Bytes: cert},
		"ca.pem":         {Type: "CERTIFICATE", Bytes: cert},
		"broker-key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}

// nodePassword is what TestMain sets NODE_PASSWORD to.
const nodePassword = "correct-horse"

// Three brokers run with the manual's configuration, except for addresses and files.
func TestManual_BrokerConfigurationWorksForNodes(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), manualBlock(t, "server_name: broker-1")
	r := newTrio(t)
	certify(t, dir, r.host)
	for i := range r.srv {
		own := strings.NewReplacer(
			"broker-1\n", fmt.Sprintf("broker-%d\n", i+1),
			"/etc/nats/", dir+"/",
			"/var/lib/nats", filepath.Join(r.dir, fmt.Sprint(i)),
			"0.0.0.0:4222", fmt.Sprintf("%s:%d", r.host, r.ports[i]),
			"0.0.0.0:6222", fmt.Sprintf("%s:%d", r.host, r.ports[3+i]),
			"127.0.0.1:8222", "127.0.0.1:-1",
			"nats://broker-1:6222", r.routes[0], "nats://broker-2:6222", r.routes[1], "nats://broker-3:6222", r.routes[2],
		).Replace(text)
		path := filepath.Join(dir, fmt.Sprint(i, ".conf"))
		require.NoError(t, os.WriteFile(path, []byte(own), 0o600))
		o, err := server.ProcessConfigFile(path)
		require.NoError(t, err)
		o.NoSigs, o.NoLog = true, true
		r.srv[i], err = server.NewServer(o)
		require.NoError(t, err)
		r.srv[i].Start()
		t.Cleanup(func() { r.stop(i) })
	}
	for _, srv := range r.srv {
		require.True(t, srv.ReadyForConnections(patience))
	}

	url := strings.ReplaceAll(r.url(), "nats://", "tls://")
	_, err := nats.Connect(url, nats.RootCAs(filepath.Join(dir, "ca.pem")), nats.UserInfo("node", "guess"))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	refused := make(chan error, 64) // errors about missing permissions
	connect := func() *nats.Conn {
		nc, err := nats.Connect(url, append(cluster.ConnOptions(20*time.Second),
			nats.UserInfo("node", nodePassword), nats.RootCAs(filepath.Join(dir, "ca.pem")),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))...)
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	o := newObserver()
	heard := make(chan told, 1)
	a := join(t, o, "a", cluster.Config{Conn: connect(), Replicas: 3, OnTell: func(_ *cluster.Node, from string, msg []byte) {
		heard <- told{from, string(msg)}
	}})
	c := join(t, o, "c", cluster.Config{Conn: connect(), Replicas: 3})
	events := watch(t, c.node)
	a.mustLogin("x", "y")
	until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Claimed && e.Entry.ID == "y" })
	require.NoError(t, send(t, c.node, "x", []byte("hello")))
	require.Equal(t, []string{"x: hello"}, a.received())
	require.NoError(t, c.node.Tell("", []byte("all")))
	require.Equal(t, told{"c", "all"}, hear(t, heard))
	c.mustLogin("x")
	require.NoError(t, kick(t, c.node, "y", "Kicked"))
	agree(t, a, []*site{a, c})
	require.NoError(t, a.node.Leave(within(t, patience)))
	require.Zero(t, o.doubled())
	select {
	case err := <-refused:
		t.Errorf("the manual's permissions are too few: %v", err)
	default:
	}
}
