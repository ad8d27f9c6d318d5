// Package console is what sessionwheel's programs have in common: how they parse
// their command line, write to a terminal or a file, react to signals, and exit.
package console
