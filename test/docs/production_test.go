package docs_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	unitFile      = "docs/production/sessionwheel.service"
	containerFile = "docs/production/Containerfile"
)

// The addresses of the files, changed to free ports of the loopback interface.
var freePorts = strings.NewReplacer("0.0.0.0:7000", "127.0.0.1:0", "127.0.0.1:8080", "127.0.0.1:0")

func TestSystemdUnit_IsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "systemd-analyze is missing")
		t.Skip("systemd-analyze, which checks the unit, is missing: not a system with systemd")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	write(t, dir, "sessionwheel.service", strings.ReplaceAll(page(t, unitFile), "/usr/local/bin/sessionwheel", self))
	// It warns of a mistake, and still exits with status 0.
	out, err := exec.CommandContext(t.Context(), analyze, "verify", filepath.Join(dir, "sessionwheel.service")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
}

func TestSystemdUnit_StartsAServerThatSIGTERMDrains(t *testing.T) {
	t.Parallel()
	needUnix(t)
	credentials := t.TempDir()
	roots := certificate(t, credentials)
	program, _ := image(t)
	command := strings.NewReplacer("${CREDENTIALS_DIRECTORY}", credentials, "/usr/local/bin/sessionwheel", program).Replace(unitCommand(t))
	server := start(t, strings.Fields(freePorts.Replace(command)))

	conn, err := tls.Dial("tcp", server.addr, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	require.NoError(t, err)
	server.drains(t, conn)
}

func TestSystemdUnit_WaitsLongerThanTheServerDrains(t *testing.T) {
	args := strings.Fields(unitCommand(t))
	drain, err := time.ParseDuration(args[slices.Index(args, "--drain")+1])
	require.NoError(t, err)
	stop, err := time.ParseDuration(unitValue(t, "TimeoutStopSec"))
	require.NoError(t, err)
	require.Greater(t, stop, drain)

	var sessions, files int
	_, err = fmt.Sscan(args[slices.Index(args, "--max-sessions")+1], &sessions)
	require.NoError(t, err)
	_, err = fmt.Sscan(unitValue(t, "LimitNOFILE"), &files)
	require.NoError(t, err)
	require.Greater(t, files, sessions)
}

// No engine runs here. The test does what the file's steps say: the build's
// command in the checkout, and then the command of the image.
func TestContainerfile_BuildsAProgramWhoseCommandStarts(t *testing.T) {
	t.Parallel()
	needUnix(t)
	program, args := image(t)
	if runtime.GOOS == "linux" {
		// An empty image has no dynamic linker.
		headers, err := os.ReadFile(program)
		require.NoError(t, err)
		require.NotContains(t, string(headers), "/ld-linux", "the program is not static")
	}

	server := start(t, append([]string{program}, args...))
	conn, err := net.Dial("tcp", server.addr)
	require.NoError(t, err)
	server.drains(t, conn)
}

// needUnix leaves a test out where there is no SIGTERM.
func needUnix(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the unit and the container are for Unix")
	}
}

// unitCommand is the unit's ExecStart on one line.
func unitCommand(t *testing.T) string {
	t.Helper()
	return unitValue(t, "ExecStart")
}

// unitValue is what the unit sets a key to.
func unitValue(t *testing.T, key string) string {
	t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(page(t, unitFile), "\\\n", " ")) {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("%s has no %s", unitFile, key)
	return ""
}

// containerSteps are the instructions of the container file, each on one line.
func containerSteps(t *testing.T) (steps []string) {
	t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(page(t, containerFile), "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			steps = append(steps, line)
		}
	}
	return steps
}

// built is where image builds. Once is enough, since that takes long.
var (
	built string
	once  sync.Once
)

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "image"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(status)
}

// image does what the container file's steps say, and returns the program of the image
// and the arguments of its command.
func image(t *testing.T) (program string, args []string) {
	t.Helper()
	steps := containerSteps(t)
	once.Do(func() {
		for _, step := range steps {
			if command, ok := strings.CutPrefix(step, "RUN "); ok {
				cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "/out/", filepath.Join(built, "out")+"/"))
				cmd.Dir = root(t) // of WORKDIR and COPY . .
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s: %s", step, out)
			}
		}
	})
	var entrypoint []string
	copied := make(map[string]string) // from the build stage's path to the image's
	for _, step := range steps {
		word, rest, _ := strings.Cut(step, " ")
		switch word {
		case "COPY":
			if from, ok := strings.CutPrefix(rest, "--from=build "); ok {
				source, target, _ := strings.Cut(from, " ")
				copied[target] = filepath.Join(built, source)
			}
		case "ENTRYPOINT":
			require.NoError(t, json.Unmarshal([]byte(rest), &entrypoint))
		case "CMD":
			require.NoError(t, json.Unmarshal([]byte(freePorts.Replace(rest)), &args))
		}
	}
	require.Len(t, entrypoint, 1)
	require.Contains(t, copied, entrypoint[0], "the image does not hold its entry point")
	return copied[entrypoint[0]], args
}

// certificate writes a certificate of localhost and its key to the files that
// the unit names, and returns the pool that holds it.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(t, dir, "tls.crt", string(public))
	write(t, dir, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(public))
	return roots
}

// server is a running serve.
type server struct {
	cmd  *exec.Cmd
	addr string // of its sessions
	log  <-chan string
}

// start starts a command line of serve and waits until it listens.
func start(t *testing.T, args []string) *server {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	log := make(chan string, 1)
	listening := make(chan string, 1)
	go func() { // ends with the process's standard error, at the latest with the test's context
		var all strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var record struct{ Msg, Addr string }
			if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "listening" {
				listening <- record.Addr
			}
			fmt.Fprintln(&all, lines.Text())
		}
		log <- all.String()
	}()
	select {
	case addr := <-listening:
		return &server{cmd, addr, log}
	case text := <-log:
		require.FailNow(t, "it does not listen", "%v: %s", cmd.Wait(), text)
		return nil
	}
}

// drains sees that the server answers on conn, and that SIGTERM closes conn and
// ends the process with status 0.
func (s *server) drains(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	_, err := fmt.Fprintln(conn, "hello")
	require.NoError(t, err)
	replies := bufio.NewScanner(conn)
	require.True(t, replies.Scan(), "%v", replies.Err())
	require.Equal(t, "hello", replies.Text())

	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.False(t, replies.Scan())
	text := <-s.log
	require.NoError(t, s.cmd.Wait(), "%s", text)
	require.Contains(t, text, `"reason":"Shutdown"`)
}
