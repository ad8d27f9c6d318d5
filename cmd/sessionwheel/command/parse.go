package command

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
)

// Program is a program with commands.
type Program struct {
	root *node
	text string // the description
}

// New returns the program of that name. Commands points to the struct.
func New(name, description string, commands any) *Program {
	return &Program{root: build(name, reflect.ValueOf(commands).Elem(), nil), text: description}
}

// Line is a command line as it was parsed.
type Line struct {
	// Command points to the struct of the command that was named.
	Command any

	// Parents point to the structs that the command is in, the nearest first.
	Parents []any

	Help, Version bool // one of these was asked for, and nothing else matters

	node *node
}

// UsageError is a mistake in the command line.
type UsageError struct {
	Text string
	Help string // the command whose help explains
}

func (e *UsageError) Error() string { return fmt.Sprintf("%s (see %q)", e.Text, e.Help+" --help") }

// parser is one pass over a command line.
type parser struct {
	node  *node
	left  []string // to be parsed
	named bool     // the first word is no flag
	taken int      // arguments that the command has
	line  Line
}

// Parse sets the fields of the commands. All its errors are of type *UsageError.
func (p *Program) Parse(args []string) (*Line, error) {
	s := &parser{node: p.root, left: args, named: len(args) > 0 && !strings.HasPrefix(args[0], "-")}
	err := s.parse()
	s.line.node = s.node
	if s.line.Help || s.line.Version {
		return &s.line, nil
	}
	if err == nil {
		err = s.finish()
	}
	if err != nil {
		return nil, s.usage(err)
	}
	return &s.line, nil
}

// parse goes through the command line. It stops at --help and --version.
func (s *parser) parse() error {
	for onlyWords := false; len(s.left) > 0; {
		word := s.left[0]
		s.left = s.left[1:]
		var err error
		switch {
		case onlyWords:
			err = s.word(word)
		case word == "--":
			onlyWords = true
		case word == "--help", word == "-h":
			s.line.Help = true
			return nil
		case word == "--version":
			s.line.Version = true
			return nil
		case strings.HasPrefix(word, "--"):
			err = s.flag(word[2:])
		case strings.HasPrefix(word, "-") && word != "-":
			err = fmt.Errorf("unknown flag %s", word)
		default:
			err = s.word(word)
		}
		if err != nil {
			// A help that is asked for behind a mistake is still the answer.
			for _, later := range s.left {
				s.line.Help = s.line.Help || later == "--help" || later == "-h"
			}
			return err
		}
	}
	return nil
}

// flag parses a flag, whose value may be the next word.
func (s *parser) flag(text string) error {
	name, text, hasValue := strings.Cut(text, "=")
	f, positive := s.find(name)
	if f == nil {
		return fmt.Errorf("unknown flag --%s%s", name, s.meant(name))
	}
	switch {
	case !positive && hasValue:
		return fmt.Errorf("--%s takes no value", name)
	case !positive:
		text = "false"
	case f.isBool() && !hasValue:
		text = "true"
	case !hasValue && (len(s.left) == 0 || strings.HasPrefix(s.left[0], "--")):
		return f.missing()
	case !hasValue:
		text, s.left = s.left[0], s.left[1:]
	}
	if text == "" && f.want != "" { // as from a variable of the shell that is not set
		return f.missing()
	}
	err := f.assign(text)
	f.given = true
	return err
}

// find returns the command's flag of that name, and whether it is meant as it is and
// not with no- before it. If no command was named and the program has no such flag,
// the default command is meant.
func (s *parser) find(name string) (f *flag, positive bool) {
	for {
		for _, f := range s.node.flags {
			if f.name == name {
				return f, true
			}
			if f.negatable && "no-"+f.name == name {
				return f, false
			}
		}
		if s.node.standard == nil {
			return nil, false
		}
		s.node = s.node.standard
	}
}

// word parses what is no flag: a command, or an argument.
func (s *parser) word(word string) error {
	for _, c := range s.node.children {
		if c.name == word {
			s.node = c
			return nil
		}
	}
	if s.node.standard != nil && len(s.node.standard.args) > 0 {
		s.node = s.node.standard
	}
	if len(s.node.children) > 0 {
		return errors.New(unknown(word, s.node.visible()))
	}
	if s.taken == len(s.node.args) {
		return fmt.Errorf("unexpected argument %s", word)
	}
	a := s.node.args[s.taken]
	s.taken++
	if err := a.set(word); err != nil {
		return fmt.Errorf("<%s> %w", a.name, err)
	}
	return nil
}

// finish completes what was parsed: the default command, defaults of arguments,
// variables; and has the command look at its fields.
func (s *parser) finish() error {
	for len(s.node.children) > 0 {
		if s.node.standard == nil {
			return fmt.Errorf("%s needs a command: %s", s.node.path(false), list(s.node.visible()))
		}
		s.node = s.node.standard
	}
	for _, a := range s.node.args[s.taken:] {
		if !a.optional {
			return fmt.Errorf("an argument is missing: <%s>", a.name)
		}
		if err := a.set(a.standard); err != nil {
			return fmt.Errorf("<%s> %w", a.name, err)
		}
	}
	for _, f := range s.node.flags {
		if text := os.Getenv(f.env); f.env != "" && text != "" && !f.given {
			if err := f.assign(text); err != nil {
				return fmt.Errorf("%w (from %s)", err, f.env)
			}
		}
	}
	s.line.Command = s.node.target.Addr().Interface()
	for up := s.node.parent; up != nil; up = up.parent {
		s.line.Parents = append(s.line.Parents, up.target.Addr().Interface())
	}
	if v, ok := s.line.Command.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// usage makes a UsageError that names the help of the command, if it was named.
func (s *parser) usage(err error) *UsageError {
	at := s.node
	for at.parent != nil && at.parent.standard == at && (at.hidden || !s.named) {
		at = at.parent
	}
	return &UsageError{Text: err.Error(), Help: at.path(true)}
}
