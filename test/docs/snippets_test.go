package docs_test

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const core = "github.com/sessionwheel/sessionwheel"

// importPaths are the packages that a snippet without imports may use.
var importPaths = map[string]string{
	"bufio": "bufio", "context": "context", "errors": "errors", "fmt": "fmt", "log": "log", "net": "net", "os": "os",
	"math": "math", "signal": "os/signal", "slog": "log/slog", "sync": "sync", "syscall": "syscall", "time": "time", "tls": "crypto/tls",
	"atomic":      "sync/atomic",
	"timingwheel": "github.com/RussellLuo/timingwheel",
	"pool":        core + "/pool", "tcp": core + "/tcp", "udp": core + "/udp", "wheel": core + "/wheel",
}

// compiled are the pages whose Go code is whole: programs, or declarations that
// name all they use.
var compiled = []string{"README.md", "README.zh-CN.md", "docs/migrating.md", "docs/production.md"}

func TestSnippets_OfThePagesCompileAndAreFormatted(t *testing.T) {
	t.Parallel()
	dir := moduleWithCore(t)
	for _, name := range compiled {
		for _, b := range blocksOf(t, name, "go") {
			code := b.code
			if !strings.HasPrefix(code, "package ") {
				code = "package snippet\n\n" + importsOf(t, name, b) + code
			}
			formatted, err := format.Source([]byte(b.code))
			require.NoError(t, err, "%s:%d", name, b.line)
			require.Equal(t, string(formatted), b.code, "%s:%d is not as gofmt has it", name, b.line)
			write(t, dir, fmt.Sprintf("%s_%d/snippet.go", strings.NewReplacer("/", "_", ".", "_").Replace(name), b.line), code)
		}
	}
	goIn(t, dir, "vet", "./...")
}

// moduleWithCore makes a module that has the core at its checkout.
func moduleWithCore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	library := strings.TrimSpace(goIn(t, root(t), "list", "-m", "-f", "{{.Path}} {{.Version}}", "github.com/RussellLuo/timingwheel"))
	write(t, dir, "go.mod", fmt.Sprintf("module example.org/snippets\n\ngo 1.26\n\nrequire (\n\t%s v0.0.0\n\t%s\n)\n\nreplace %[1]s => %[3]s\n", core, library, root(t)))
	write(t, dir, "go.sum", page(t, "go.sum"))
	return dir
}

// importsOf is the import declaration for the packages that a snippet uses.
func importsOf(t *testing.T, name string, b block) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", "package snippet\n"+b.code, 0)
	require.NoError(t, err, "%s:%d", name, b.line)
	var paths []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			// An identifier that the file does not resolve is a package's name.
			if x, ok := s.X.(*ast.Ident); ok && x.Obj == nil && importPaths[x.Name] != "" {
				paths = append(paths, importPaths[x.Name])
			}
		}
		return true
	})
	if len(paths) == 0 {
		return ""
	}
	slices.Sort(paths)
	return "import (\n\t\"" + strings.Join(slices.Compact(paths), "\"\n\t\"") + "\"\n)\n\n"
}
