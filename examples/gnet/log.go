package main

import (
	"fmt"
	"log/slog"
	"os"
)

// gnetLog passes gnet's log to a slog.Logger. By default gnet logs to standard output.
type gnetLog struct{ *slog.Logger }

func (l gnetLog) Debugf(format string, args ...any) { l.Debug(message(format, args)) }
func (l gnetLog) Infof(format string, args ...any)  { l.Debug(message(format, args)) } // its greeting
func (l gnetLog) Warnf(format string, args ...any)  { l.Warn(message(format, args)) }
func (l gnetLog) Errorf(format string, args ...any) { l.Error(message(format, args)) }

func (l gnetLog) Fatalf(format string, args ...any) {
	l.Error(message(format, args))
	os.Exit(exitRuntime)
}

func message(format string, args []any) string { return "gnet: " + fmt.Sprintf(format, args...) }
