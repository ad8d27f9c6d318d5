// Package flags has the command lines of the programs that sessionwheel starts. It
// depends on none of them, so that sessionwheel shows their help and refuses wrong
// flags without building them.
package flags
