package servers

import (
	"context"
	"log"
	"os"

	"github.com/sessionwheel/sessionwheel/lab/bench/servers/mutestderr"
)

func init() {
	os.Stderr = mutestderr.Stderr
	log.SetOutput(os.Stderr) // package log has copied the muted os.Stderr
}

// discardLogger discards the messages of servers that would log each connection.
type discardLogger struct{}

func (discardLogger) InfoF(string, ...any)                    {}
func (discardLogger) ErrorF(string, ...any)                   {}
func (discardLogger) DebugF(string, ...any)                   {}
func (discardLogger) InfoFX(context.Context, string, ...any)  {}
func (discardLogger) ErrorFX(context.Context, string, ...any) {}
func (discardLogger) DebugFX(context.Context, string, ...any) {}

func (discardLogger) Info(...any)           {}
func (discardLogger) Warn(...any)           {}
func (discardLogger) Error(...any)          {}
func (discardLogger) Debug(...any)          {}
func (discardLogger) Infof(string, ...any)  {}
func (discardLogger) Warnf(string, ...any)  {}
func (discardLogger) Errorf(string, ...any) {}
func (discardLogger) Debugf(string, ...any) {}
