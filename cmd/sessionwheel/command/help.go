package command

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

const (
	pageWidth = 80
	maxColumn = 34 // where the texts beside flags begin at most
)

// Help writes the help of the command that was named, or of the program.
func (p *Program) Help(w io.Writer, line *Line) error {
	var b strings.Builder
	n := line.node
	fmt.Fprintf(&b, "Usage: %s%s\n\n", n.path(true), n.usage())
	text := n.help
	if n.parent == nil {
		text = p.text
	}
	paragraphs(&b, text)
	if h, ok := n.target.Addr().Interface().(interface{ Help() string }); ok && n.parent != nil {
		b.WriteByte('\n')
		paragraphs(&b, h.Help())
	}
	if len(n.args) > 0 {
		b.WriteString("\nArguments:\n")
		var rows [][2]string
		for _, a := range n.args {
			rows = append(rows, [2]string{a.usage(), a.help})
		}
		columns(&b, rows)
	}
	if some := n.visible(); len(some) > 0 {
		b.WriteString("\nCommands:\n")
		for i, c := range some {
			if i > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "  %s%s\n", c.path(false), c.usage())
			wrap(&b, c.help, "    ", "    ")
		}
	}
	b.WriteString("\nFlags:\n")
	rows := [][2]string{{"-h, --help", "Show this help."}, {"    --version", "Print the version and exit."}}
	columns(&b, append(rows, n.rows()...))
	if s := n.standard; s != nil {
		title := "Flags without a command"
		if !s.hidden {
			title = "Flags of " + s.name + ", the default command"
		}
		fmt.Fprintf(&b, "\n%s:\n", title)
		columns(&b, s.rows())
	}
	if len(n.visible()) > 0 {
		fmt.Fprintf(&b, "\nRun \"%s <command> --help\" for more information on a command.\n", n.path(true))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// usage is what follows the command's name.
func (n *node) usage() string {
	var text string
	for _, a := range n.args {
		text += " " + a.usage()
	}
	switch {
	case len(n.children) > 0 && n.standard != nil:
		return text + " [<command>] [flags]"
	case len(n.children) > 0:
		return text + " <command> [flags]"
	case len(n.flags) > 0:
		return text + " [flags]"
	}
	return text
}

func (a *argument) usage() string {
	if a.optional {
		return "[<" + a.name + ">]"
	}
	return "<" + a.name + ">"
}

// rows are the flags and their texts.
func (n *node) rows() (rows [][2]string) {
	for _, f := range n.flags {
		if !f.hidden {
			rows = append(rows, [2]string{"    " + f.usage(), f.text()})
		}
	}
	return rows
}

// usage is the flag with what it takes.
func (f *flag) usage() string {
	switch {
	case f.negatable:
		return "--[no-]" + f.name
	case f.isBool():
		return "--" + f.name
	}
	takes := f.placeholder
	switch {
	case takes != "":
	case f.standard != "" && f.dest.Kind() == reflect.String:
		takes = fmt.Sprintf("%q", f.standard)
	case f.standard != "":
		takes = f.standard
	default:
		takes = strings.ToUpper(f.dest.Kind().String())
	}
	if f.dest.Kind() == reflect.Slice {
		takes += ",..."
	}
	return "--" + f.name + "=" + takes
}

// text is the flag's help, with its variable.
func (f *flag) text() string {
	if f.env == "" {
		return f.help
	}
	return strings.TrimSuffix(f.help, ".") + " ($" + f.env + ")."
}

// columns writes rows in two columns.
func columns(b *strings.Builder, rows [][2]string) {
	column := 0
	for _, r := range rows {
		column = max(column, min(len(r[0])+6, maxColumn)) // two before, four behind
	}
	for _, r := range rows {
		first := "  " + r[0]
		if len(first)+2 > column {
			b.WriteString(first + "\n")
			first = ""
		}
		wrap(b, r[1], first+strings.Repeat(" ", column-len(first)), strings.Repeat(" ", column))
	}
}

// paragraphs writes a text, whose paragraphs are apart by an empty line.
func paragraphs(b *strings.Builder, text string) {
	for i, p := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		wrap(b, p, "", "")
	}
}

// wrap writes a text in lines of the page's width, the first behind one indent and
// the others behind another.
func wrap(b *strings.Builder, text, first, others string) {
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > pageWidth {
			b.WriteString(line + "\n")
			line, empty = others, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
