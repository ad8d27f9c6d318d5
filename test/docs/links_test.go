package docs_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

var (
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// pages are the documents that are not part of a nested module.
func pages(t *testing.T) []string {
	t.Helper()
	names := []string{"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	found, err := filepath.Glob(filepath.Join(root(t), "docs", "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, file := range found {
		names = append(names, "docs/"+filepath.Base(file))
	}
	return names
}

func TestLinks_OfThePagesLeadToFilesAndHeadingsThatExist(t *testing.T) {
	for _, name := range pages(t) {
		for _, m := range linkTarget.FindAllStringSubmatch(fenced.ReplaceAllString(page(t, name), ""), -1) {
			target := m[1] + m[2]
			if strings.Contains(target, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			if file == "" {
				file = name
			} else {
				file = path.Join(path.Dir(name), file)
			}
			_, err := os.Stat(filepath.Join(root(t), filepath.FromSlash(file)))
			require.NoError(t, err, "%s links to %s", name, target)
			if anchor != "" {
				require.Contains(t, anchors(page(t, file)), anchor, "%s links to %s", name, target)
			}
		}
	}
}

func TestLinks_OfTheReadmeBeginWithTheOtherLanguage(t *testing.T) {
	for name, link := range map[string]string{"README.md": "[中文](README.zh-CN.md)", "README.zh-CN.md": "[English](README.md)"} {
		first, _, _ := strings.Cut(page(t, name), "\n")
		require.Contains(t, first, link)
	}
}

// anchors are what the headings of a page are called in links.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return names
}

var codeSpan = regexp.MustCompile("`([^`\n]+)`")

func TestContributing_NamesFilesThatExist(t *testing.T) {
	named := 0
	for _, m := range codeSpan.FindAllStringSubmatch(page(t, "CONTRIBUTING.md"), -1) {
		file := m[1]
		if !strings.Contains(file, "/") && !strings.Contains(file, ".go") && !strings.Contains(file, ".md") || strings.ContainsAny(file, " <>*") {
			continue // no path, or a command
		}
		if strings.HasPrefix(file, "go.") || strings.HasPrefix(file, "github.com/") || strings.HasPrefix(file, "testing/") {
			continue // a module or a package of others
		}
		named++
		_, err := os.Stat(filepath.Join(root(t), filepath.FromSlash(strings.TrimPrefix(file, "./"))))
		require.NoError(t, err, "CONTRIBUTING.md names %s", file)
	}
	require.NotZero(t, named)
}

func TestPictures_ThatAreDrawnFollowTheColourScheme(t *testing.T) {
	drawn, err := filepath.Glob(filepath.Join(root(t), "docs", "*.svg"))
	require.NoError(t, err)
	require.NotEmpty(t, drawn)
	for _, file := range drawn {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), "prefers-color-scheme:dark", "%s glares in dark mode", file)
	}
}
