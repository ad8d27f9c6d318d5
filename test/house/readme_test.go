package house_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var fenced = regexp.MustCompile("(?s)```(sh|go)\n(.*?)```")

// codeOf returns the fenced blocks of a page, each with its language.
func codeOf(t *testing.T, page string) [][]string {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	blocks := fenced.FindAllStringSubmatch(string(text), -1)
	for i := range blocks {
		blocks[i] = blocks[i][1:]
	}
	return blocks
}

// It has all the blocks of the English page in the same order, and some of its
// own between them.
func TestReadme_InChineseHasTheSameCommandsAndCode(t *testing.T) {
	english, chinese := codeOf(t, "README.md"), codeOf(t, "README.zh-CN.md")
	require.NotEmpty(t, english)
	for _, b := range english {
		at := slices.IndexFunc(chinese, func(c []string) bool { return slices.Equal(b, c) })
		require.NotEqual(t, -1, at, "README.zh-CN.md lacks, or has in another order: %s", b[1])
		chinese = chinese[at+1:]
	}
}

func TestReadme_NamesTheTwoCommands(t *testing.T) {
	var commands []string
	for _, b := range codeOf(t, "README.md") {
		if b[0] == "sh" {
			commands = append(commands, strings.Split(strings.TrimSpace(b[1]), "\n")...)
		}
	}
	require.Contains(t, commands, "go run ./cmd/sessionwheel")
	require.Contains(t, commands, "GOGC=400 go test -race -p 3 work")
}

// It builds the program in a module made by the README's commands, as a reader
// would.
func TestReadme_ItsProgramCompilesInAModuleOfItsOwn(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	var program, setup string
	for _, b := range codeOf(t, "README.md") {
		switch {
		case program == "" && b[0] == "go" && strings.HasPrefix(b[1], "package main"):
			program = b[1]
		case setup == "" && strings.Contains(b[1], "go mod edit"):
			setup = b[1] // of the core; the nested modules' follow
		}
	}
	require.NotEmpty(t, program)
	require.Contains(t, setup, "=../sessionwheel\n")
	setup = strings.ReplaceAll(setup, "../sessionwheel", here)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600))

	commands := append([]string{"go mod init example.org/server"}, strings.Split(strings.TrimSpace(setup), "\n")...)
	for _, c := range append(commands, "go vet .", "go build -o server .") {
		args := strings.Fields(c)
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", c, out)
	}

	// What importing the core costs: the library, and nothing more.
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	require.NoError(t, err)
	for line := range strings.Lines(string(sums)) {
		require.True(t, strings.HasPrefix(line, "github.com/RussellLuo/timingwheel "), "go.sum has %s", line)
	}
}

// The chat is what the documentation of package tcp shows first.
func TestReadme_ItsChatIsTheExampleOfPackageTCP(t *testing.T) {
	example, err := os.ReadFile("tcp/example_test.go")
	require.NoError(t, err)
	second := 0
	for _, b := range codeOf(t, "README.md") {
		if b[0] != "go" {
			continue
		}
		if second++; second == 2 {
			require.Contains(t, b[1], "tcp.Group")
			require.Contains(t, string(example), b[1])
		}
	}
}
