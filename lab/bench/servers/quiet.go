package servers

import (
	"context"
	"log"
	"os"

	"github.com/sessionwheel/sessionwheel/lab/bench/servers/hush"
)

func init() {
	os.Stderr = hush.Stderr
	log.SetOutput(os.Stderr) // package log has seen the other one
}

// quiet is a logger that says nothing, for the servers that would log each
// connection.
type quiet struct{}

func (quiet) InfoF(string, ...any)                    {}
func (quiet) ErrorF(string, ...any)                   {}
func (quiet) DebugF(string, ...any)                   {}
func (quiet) InfoFX(context.Context, string, ...any)  {}
func (quiet) ErrorFX(context.Context, string, ...any) {}
func (quiet) DebugFX(context.Context, string, ...any) {}

func (quiet) Info(...any)           {}
func (quiet) Warn(...any)           {}
func (quiet) Error(...any)          {}
func (quiet) Debug(...any)          {}
func (quiet) Infof(string, ...any)  {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Debugf(string, ...any) {}
