package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
)

// connect dials a server that a test has started.
func connect(t *testing.T, addr, split string, config *tls.Config) *client {
	t.Helper()
	c, err := dial(t.Context(), addr, config, protocolOf(split))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestServeEchoesLinesAndFramesAndDrainsOnASignal(t *testing.T) {
	t.Parallel()
	for split, sig := range map[string]syscall.Signal{"lines": syscall.SIGTERM, "frames": syscall.SIGINT} {
		p, addr := serving(t, "--split", split)
		c := connect(t, addr, split, nil)
		for _, body := range []string{"hello", "", strings.Repeat("x", 40_000)} {
			_, _, err := c.send([]byte(body))
			require.NoError(t, err)
			require.NoError(t, c.receive())
		}
		p.Signal(sig)
		require.NoError(t, c.awaitClose())
		require.Zero(t, p.Wait(), p.Logged())
		require.Regexp(t, `msg="session opened" session=1 remote=127\.0\.0\.1:\d+ open=1\n`, p.Logged())
		require.Regexp(t, `msg="session closed" session=1 remote=\S+ reason=Shutdown idle=\S+ age=\S+ frames=3 bytes=40005 open=0\n`, p.Logged())
		require.Contains(t, p.Logged(), "msg=draining")
		require.Contains(t, p.Logged(), "msg=stopped")
		require.Equal(t, 1, strings.Count(p.Logged(), "session closed"))
	}
}

func TestServeClosesIdleSessionsAndLogsInJSON(t *testing.T) {
	t.Parallel()
	p, addr := serving(t, "--idle", "200ms", "--log-format", "json")
	c := connect(t, addr, "lines", nil)
	require.NoError(t, c.awaitClose())
	p.Await(`session closed`)
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait())
	found := false
	for line := range strings.Lines(p.Logged()) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		if entry["msg"] == "session closed" {
			found = true
			require.Equal(t, "Timeout", entry["reason"])
			require.EqualValues(t, 1, entry["session"])
			require.Equal(t, c.LocalAddr().String(), entry["remote"])
			for _, key := range []string{"idle", "age", "frames", "bytes"} {
				require.Contains(t, entry, key)
			}
			require.GreaterOrEqual(t, entry["idle"], float64(200*time.Millisecond))
		}
	}
	require.True(t, found)
}

func TestServeRefusesSessionsBeyondItsLimits(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--max-sessions", "--max-sessions-per-ip"} {
		p, addr := serving(t, flag, "1")
		first := connect(t, addr, "lines", nil)
		p.Await(`session opened`)
		second := connect(t, addr, "lines", nil)
		require.NoError(t, second.awaitClose())
		_, _, err := first.send([]byte("still here"))
		require.NoError(t, err)
		require.NoError(t, first.receive())
		p.Await(`level=WARN .*refused`)
	}
}

func TestServeIsQuietAtALevelAbove(t *testing.T) {
	t.Parallel()
	// Port 0 would not be told at this level, so a free one is looked for.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	require.NoError(t, free.Close())
	p := consoletest.Launch(t, "serve", "--addr", addr, "--log-level", "error")
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, consoletest.Patience, 20*time.Millisecond)
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait())
	require.Empty(t, p.Logged())
}

// stuck gives a server a session that does not end by itself: its peer sends
// and does not read, until the server's Send blocks.
func stuck(t *testing.T, addr string) {
	t.Helper()
	c := connect(t, addr, "lines", nil)
	chunk := []byte(strings.Repeat("x", 64<<10) + "\n")
	for {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.Write(chunk); err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return
		}
	}
}

func TestServeDrainsNoLongerThanItsLimit(t *testing.T) {
	t.Parallel()
	p, addr := serving(t, "--drain", "100ms")
	stuck(t, addr)
	p.Signal(syscall.SIGTERM)
	require.Equal(t, console.ExitRuntime, p.Wait())
	require.Regexp(t, `session=1 .*reason=Shutdown [\s\S]*\nsessionwheel: .*--drain 100ms.*\n$`, p.Logged())
}

func TestASecondSignalEndsServeAtOnce(t *testing.T) {
	t.Parallel()
	p, addr := serving(t, "--drain", "1h", "--write-timeout", "1h")
	stuck(t, addr)
	p.Signal(syscall.SIGTERM)
	p.Await(`msg=draining`)
	p.Signal(syscall.SIGTERM)
	require.Equal(t, 143, p.Wait())
	require.Contains(t, p.Logged(), "sessionwheel: second signal")
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(cert, certPEM, 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return cert, key, pool
}

func TestServeSpeaksTLS(t *testing.T) {
	t.Parallel()
	cert, key, pool := selfSigned(t)
	p, addr := serving(t, "--tls-cert", cert, "--tls-key", key)
	c := connect(t, addr, "lines", &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	_, _, err := c.send([]byte("in secret"))
	require.NoError(t, err)
	require.NoError(t, c.receive())

	o := consoletest.Run(t, "load", "--addr", addr, "--tls-insecure", "--active", "3", "--duration", "300ms")
	require.Zero(t, o.Status, o.Out+o.Err)
	o = consoletest.Run(t, "load", "--addr", addr, "--tls", "--duration", "300ms")
	require.Equal(t, console.ExitRuntime, o.Status)
	o.OneErrorLine(t, addr, "not trusted", "--tls-insecure")

	p.Signal(syscall.SIGTERM)
	_, err = io.Copy(io.Discard, bufio.NewReader(c.Conn))
	require.NoError(t, err, "a drain says farewell")
	require.Zero(t, p.Wait(), p.Logged())
}
