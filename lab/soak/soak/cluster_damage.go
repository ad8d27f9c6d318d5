//go:build !nocluster

package soak

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// damage is a kind of files of a broker's store that a bad disk spoils.
type damage struct {
	what     string
	patterns []string // of paths below the store
}

// Damages are told apart by what a broker notices of them. It reads its index when it
// starts, and the records of a stream only where the index is gone.
var damages = []damage{
	{"records", []string{"jetstream/$G/streams/*/msgs/*.blk"}},
	{"records and their index", []string{"jetstream/$G/streams/*/msgs/*"}},
	{"the streams' Raft logs", []string{"jetstream/$SYS/_js_/S-*/*", "jetstream/$SYS/_js_/S-*/*/*"}},
	{"the brokers' Raft log", []string{"jetstream/$SYS/_js_/_meta_/*", "jetstream/$SYS/_js_/_meta_/*/*"}},
}

// files are those of the kind that there are and that are not empty.
func (d damage) files(dir string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if info.Size() > 0 && slices.ContainsFunc(d.patterns, func(p string) bool {
			ok, _ := filepath.Match(p, filepath.ToSlash(below)) // the patterns are valid
			return ok
		}) {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

// inflict spoils so many places: each is a byte that becomes another one, or once in four
// times the end of the file, from that place on. It returns how many files it has spoilt.
func (d damage) inflict(dir string, places int, rng *rand.Rand) (spoilt int, err error) {
	files, err := d.files(dir)
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("%s has no %s", dir, d.what)
	}
	hit, cut := make(map[string]bool), rng.IntN(4) == 0
	for range places {
		path := files[rng.IntN(len(files))]
		if err := spoil(path, cut, rng); err != nil {
			return 0, err
		}
		hit[path] = true
	}
	return len(hit), nil
}

func spoil(path string, cut bool, rng *rand.Rand) error {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 { // cut before
		return err
	}
	at := rng.IntN(len(data))
	if cut {
		data = data[:at]
	} else {
		data[at] ^= byte(1 + rng.IntN(255))
	}
	return os.WriteFile(path, data, 0o600)
}
