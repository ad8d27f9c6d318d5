package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string // with ca.pem, and NAME.pem and NAME.key for each certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, "ca")
	return a
}

// issue makes a certificate with a common name, which is valid for 127.0.0.1 too.
func (a *authority) issue(t *testing.T, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: name == "ca",
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(a.dir+"/"+name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(a.dir+"/"+name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	return cert, key
}

func TestTLS_TheCertificateSaysWhoTheClientIs(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for _, name := range []string{"server", "ann"} {
		a.issue(t, name)
	}
	file := func(name string) string { return a.dir + "/" + name }
	p := launch(t, 2, "--tls-addr", "127.0.0.1:0", "--cert", file("server.pem"), "--key", file("server.key"), "--client-ca", file("ca.pem"))
	defer p.stop(t)
	plain, secure := p.addrs[0], p.addrs[1]
	_, port, err := net.SplitHostPort(secure)
	require.NoError(t, err)
	publish := func(args ...string) (string, error) {
		cmd := exec.CommandContext(within(t), tool(t, "mosquitto_pub"), append([]string{"-h", "127.0.0.1", "-p", port, "--cafile", file("ca.pem"), "-V", "mqttv5", "-q", "1", "-t", "a", "-r"}, args...)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	with := []string{"--cert", file("ann.pem"), "--key", file("ann.key")}
	out, err := publish(append(with, "-i", "ann", "-m", "by ann")...)
	require.NoError(t, err, out)
	require.Equal(t, "by ann\n", mosquitto(t, "mosquitto_sub", plain, "-t", "a", "-C", "1", "-W", "60"))
	out, err = publish(append(with, "-i", "bob", "-m", "as bob")...)
	require.Error(t, err)
	require.Contains(t, out, "Client Identifier not valid")
	out, err = publish("-m", "without")
	require.Error(t, err, out)
	require.Equal(t, "by ann\n", mosquitto(t, "mosquitto_sub", plain, "-t", "a", "-C", "1", "-W", "60"))
}
