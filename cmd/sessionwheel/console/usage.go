package console

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// missing matches kong's error for a flag without its value.
var missing = regexp.MustCompile(`^--([\w-]+): expected \S+ value but got `)

// usageLine turns a parse error into one line that names the mistake and the help
// to turn to.
func usageLine(parser *kong.Kong, err error, args []string) string {
	text, help := OneLine(err), "sessionwheel --help"
	var parse *kong.ParseError
	if !errors.As(err, &parse) || parse.Context == nil {
		return fmt.Sprintf("sessionwheel: %s (see %q)", text, help)
	}
	command := parse.Context.Selected()
	if m := missing.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("--%s needs a value%s", m[1], example(append(parse.Context.Flags(), flagsOf(parser.Model.DefaultCmd)...), m[1]))
	}
	if command == nil {
		return fmt.Sprintf("sessionwheel: %s (see %q)", text, help)
	}
	text = strings.TrimPrefix(text, command.Path()+": ")
	// A misspelled command is taken for an argument of the default one.
	parent := command.Parent
	if word, ok := strings.CutPrefix(text, "unexpected argument "); ok && parent.DefaultCmd == command && !slices.Contains(args, command.Name) {
		word, _, _ = strings.Cut(word, ",")
		text, command = unknown(word, commands(parent)), parent
	}
	if command.Hidden {
		command = command.Parent
	}
	named := len(args) > 0 && !strings.HasPrefix(args[0], "-")
	if named && command.Type == kong.CommandNode {
		help = command.FullPath() + " --help"
	}
	return fmt.Sprintf("sessionwheel: %s (see %q)", text, help)
}

// example says what a flag takes: its tag "want", or its default, or its
// placeholder.
func example(flags []*kong.Flag, name string) string {
	for _, f := range flags {
		if f.Name != name {
			continue
		}
		switch {
		case f.Tag.Get("want") != "":
			return ": " + f.Tag.Get("want")
		case f.HasDefault && f.Default != "":
			return ", such as " + f.Default
		case f.PlaceHolder != "":
			return ": " + f.PlaceHolder
		}
	}
	return ""
}

// flagsOf returns a command's flags, and those of none for nil.
func flagsOf(command *kong.Node) []*kong.Flag {
	if command == nil {
		return nil
	}
	return command.Flags
}

func commands(program *kong.Node) (names []string) {
	for _, c := range program.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// unknown says that there is no such command, and which one may be meant.
func unknown(name string, all []string) string {
	best, least := "", 3 // that many changes make another word
	for _, c := range all {
		if d := distance(name, c); d < least && d < len(c) {
			best, least = c, d
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown command %q: did you mean %q?", name, best)
	}
	return fmt.Sprintf("unknown command %q: the commands are %s", name, strings.Join(all, ", "))
}

// distance is how many letters are inserted, removed or replaced to make b of a;
// two that are swapped count once.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
