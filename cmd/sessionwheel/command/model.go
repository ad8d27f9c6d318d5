// Package command parses command lines into structs, and prints their help. A
// program is a pointer to a struct whose fields are its commands:
//
//	type commands struct {
//		Serve serveCmd `cmd:"" help:"Run a server."`
//		Demo  demoCmd  `cmd:"" default:"" help:"Show it."` // runs if no command is named
//	}
//
//	type serveCmd struct {
//		Addr string        `default:"127.0.0.1:7000" help:"Address to listen on."`
//		Idle time.Duration `default:"5m" help:"Close a session after this much inactivity."`
//		Page bool          `default:"true" negatable:"" help:"Serve the page."`
//		More moreFlags     `embed:""`
//		URL  string        `arg:"" optional:"" help:"What to look at."`
//	}
//
// A command may have the methods Help() string, for a text below its summary, and
// Validate() error, which is called when its fields are set. A command may be a
// struct of commands itself.
//
// The tags are: name, help, default, enum (values separated by commas), env (a
// variable that sets the flag), placeholder (the value in the help), want (what the
// flag takes, for an error), type:"existingfile", hidden; negatable for a bool that
// has --no-; arg and optional for an argument; cmd for a command; embed for a struct
// of further flags.
//
// It is used in place of a larger library because that, with the packages of the
// standard library that it brings, was a twelfth of the first build.
package command

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// node is the program or one of its commands.
type node struct {
	name, help string
	hidden     bool
	parent     *node
	target     reflect.Value // the struct
	flags      []*flag
	args       []*argument
	children   []*node
	standard   *node // the child that runs if none is named; nil for none
}

// path is the command as it is typed, with the program's name if full is set.
func (n *node) path(full bool) string {
	switch {
	case n.parent == nil && full:
		return n.name
	case n.parent == nil:
		return ""
	}
	return strings.TrimSpace(n.parent.path(full) + " " + n.name)
}

// visible are the children that the help lists.
func (n *node) visible() (some []*node) {
	for _, c := range n.children {
		if !c.hidden {
			some = append(some, c)
		}
	}
	return some
}

// value is what a flag and an argument have in common.
type value struct {
	name, help string
	existing   bool // it names a file that must exist
	dest       reflect.Value
}

type flag struct {
	value
	standard, placeholder, want, env string
	enum                             []string
	negatable, hidden                bool
	given                            bool // on the command line
}

type argument struct {
	value
	standard string
	optional bool
}

// build makes the node of a struct, and those of its commands. A wrong tag is a
// mistake of the program's, and a panic.
func build(name string, target reflect.Value, parent *node) *node {
	n := &node{name: name, parent: parent, target: target}
	n.add(target)
	return n
}

// add adds the fields of a struct to the node.
func (n *node) add(s reflect.Value) {
	for i := range s.NumField() {
		f, dest := s.Type().Field(i), s.Field(i)
		tag := f.Tag
		name := tag.Get("name")
		if name == "" {
			name = kebab(f.Name)
		}
		has := func(key string) bool { _, ok := tag.Lookup(key); return ok }
		v := value{name: name, help: tag.Get("help"), existing: tag.Get("type") == "existingfile", dest: dest}
		switch {
		case has("embed"):
			n.add(dest)
		case !f.IsExported():
		case has("cmd"):
			c := build(name, dest, n)
			c.help, c.hidden = v.help, has("hidden")
			n.children = append(n.children, c)
			if has("default") {
				n.standard = c
			}
		case has("arg"):
			n.args = append(n.args, &argument{value: v, standard: tag.Get("default"), optional: has("optional")})
		default:
			fl := &flag{
				value: v, standard: tag.Get("default"), placeholder: tag.Get("placeholder"), want: tag.Get("want"),
				env: tag.Get("env"), negatable: has("negatable"), hidden: has("hidden"),
			}
			if has("enum") {
				fl.enum = strings.Split(tag.Get("enum"), ",")
			}
			if fl.standard != "" {
				if err := fl.set(fl.standard); err != nil {
					panic(fmt.Sprintf("command: the default of --%s %v", name, err))
				}
			}
			n.flags = append(n.flags, fl)
		}
	}
}

// kebab turns a field's name into a flag's: MaxFrame is max-frame.
func kebab(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(s[i-1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

var durationType = reflect.TypeFor[time.Duration]()
