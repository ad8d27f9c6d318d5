package flags

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// tagsOf returns the fields with tags of each struct in the package at dir.
func tagsOf(t *testing.T, dir string) map[string]map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	all := make(map[string]map[string]string)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			typ, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := typ.Type.(*ast.StructType); ok {
				all[typ.Name.Name] = fieldsOf(t, s)
			}
			return true
		})
	}
	return all
}

func fieldsOf(t *testing.T, s *ast.StructType) map[string]string {
	t.Helper()
	tags := make(map[string]string)
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			if f.Tag != nil {
				tag, err := strconv.Unquote(f.Tag.Value)
				require.NoError(t, err)
				tags[name.Name] = tag
			}
		}
	}
	return tags
}

func TestBench_HasTheFlagsOfTheProgram(t *testing.T) {
	program := tagsOf(t, "../../../lab/bench")
	for name, here := range map[string]any{"compareCmd": BenchCompare{}, "listCmd": BenchList{}, "chartsCmd": BenchCharts{}} {
		require.Contains(t, program, name)
		mine := make(map[string]string)
		typ := reflect.TypeOf(here)
		for i := range typ.NumField() {
			mine[typ.Field(i).Name] = string(typ.Field(i).Tag)
		}
		require.Equal(t, program[name], mine, name)
	}
}
