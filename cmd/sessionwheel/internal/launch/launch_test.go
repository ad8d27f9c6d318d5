package launch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
)

var tiny = Program{Name: "sessionwheel-tiny", About: "a greeting", Dir: "tiny"}

// tinyCheckout writes a checkout with a program that compiles in no time.
func tinyCheckout(t *testing.T, source string) (root string) {
	t.Helper()
	root = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "tiny"), 0o700))
	for name, text := range map[string]string{
		"go.mod":       "module " + project + "\n\ngo 1.26.0\n",
		"go.work":      "go 1.26.0\n\nuse (\n\t.\n\t./tiny\n)\n",
		"tiny/go.mod":  "module " + project + "/tiny\n\ngo 1.26.0\n",
		"tiny/main.go": source,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	t.Setenv("GOCACHE", string(bytes.TrimSpace(goCache)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // where it is built
	return root
}

const greets = "package main\n\nfunc main() { print(\"hello\") }\n"

// script writes an executable file that is no program of ours.
func script(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700))
}

func TestFind_PrefersTheProgramBesideThisOneThenTheOneInPATH(t *testing.T) {
	inPATH := filepath.Join(t.TempDir(), tiny.Name)
	script(t, inPATH)
	t.Setenv("PATH", filepath.Dir(inPATH))
	exe, err := tiny.find(t.Context(), console.Std{Err: io.Discard}, nil)
	require.NoError(t, err)
	require.Equal(t, inPATH, exe)

	self, err := os.Executable()
	require.NoError(t, err)
	beside := filepath.Join(filepath.Dir(self), tiny.Name)
	script(t, beside)
	defer os.Remove(beside)
	exe, err = tiny.find(t.Context(), console.Std{Err: io.Discard}, nil)
	require.NoError(t, err)
	require.Equal(t, beside, exe)
}

func TestFind_BuildsFromTheCheckoutAndSaysSoTheFirstTime(t *testing.T) {
	root := tinyCheckout(t, greets)
	var stderr bytes.Buffer
	std := console.Std{Err: &stderr}
	exe, err := tiny.find(t.Context(), std, []string{t.TempDir(), filepath.Join(root, "tiny")})
	require.NoError(t, err, stderr.String())
	require.Regexp(t, `^sessionwheel: building sessionwheel-tiny \(a greeting\), which may take .*\n`, stderr.String())
	out, err := exec.Command(exe).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "hello", string(out))

	first, err := os.Stat(exe)
	require.NoError(t, err)
	stderr.Reset()
	again, err := tiny.find(t.Context(), std, []string{root})
	require.NoError(t, err)
	require.Equal(t, exe, again)
	second, err := os.Stat(exe)
	require.NoError(t, err)
	require.True(t, os.SameFile(first, second), "the go command finds it up to date")
	require.NotContains(t, stderr.String(), "error")
}

func TestFind_PrintsWhatTheCompilerSays(t *testing.T) {
	root := tinyCheckout(t, "package main\n\nfunc main() { hello }\n")
	var stderr bytes.Buffer
	_, err := tiny.find(t.Context(), console.Std{Err: &stderr}, []string{root})
	require.ErrorContains(t, err, "sessionwheel-tiny could not be built from "+root)
	require.Contains(t, stderr.String(), "undefined: hello")
}

func TestFind_ThatIsInterruptedReturnsTheCause(t *testing.T) {
	root := tinyCheckout(t, greets)
	why := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err := tiny.find(ctx, console.Std{Err: io.Discard}, []string{root})
	require.ErrorIs(t, err, why)
}

func TestFind_OutsideACheckoutSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	nowhere := []string{t.TempDir()}
	_, err := tiny.find(t.Context(), console.Std{Err: io.Discard}, nowhere)
	require.ErrorContains(t, err, "sessionwheel-tiny")
	require.ErrorContains(t, err, "no checkout")
	require.ErrorContains(t, err, "go install "+project+"/tiny@latest")
	_, err = Soak.find(t.Context(), console.Std{Err: io.Discard}, nowhere)
	require.ErrorContains(t, err, "run sessionwheel in a checkout: git clone https://"+project)
}

func TestFind_WithoutTheGoCommandSaysSo(t *testing.T) {
	root := tinyCheckout(t, greets)
	t.Setenv("PATH", t.TempDir())
	_, err := tiny.find(t.Context(), console.Std{Err: io.Discard}, []string{root})
	require.ErrorContains(t, err, "the go command, which would build it from "+root+", is not in PATH")
}

func TestPrograms_AreModulesOfThisCheckout(t *testing.T) {
	root, ok := checkout(places())
	require.True(t, ok)
	for _, p := range []Program{Top, Full, Soak, Bench} {
		mod, err := os.ReadFile(filepath.Join(root, p.Dir, "go.mod"))
		require.NoError(t, err)
		require.Contains(t, string(mod), "module "+project+"/"+p.Dir+"\n")
		require.Equal(t, p.Alone, bytes.Contains(mod, []byte("\nreplace ")), "%s: it reaches the core by itself", p.Dir)
	}
}
