//go:build !nocluster

package soak

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// store writes files as those of a broker's store, and returns where.
func store(t *testing.T, paths ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, path := range paths {
		full := filepath.Join(dir, filepath.FromSlash(path))
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o700))
		require.NoError(t, os.WriteFile(full, bytes.Repeat([]byte{'x'}, 1000), 0o600))
	}
	return dir
}

func TestDamage_IsThatOfItsSeedAndOfItsKindOfFiles(t *testing.T) {
	records, index := "jetstream/$G/streams/KV_sessions_dir/msgs/1.blk", "jetstream/$G/streams/KV_sessions_dir/msgs/index.db"
	logs, own := "jetstream/$SYS/_js_/S-R3F-abc/msgs/1.blk", "jetstream/$SYS/_js_/_meta_/snapshots/snap.1.4"
	all := []string{records, index, logs, own}
	for i, touched := range [][]string{{records}, {records, index}, {logs}, {own}} {
		t.Run(damages[i].what, func(t *testing.T) {
			var first [][]byte
			for range 2 {
				dir := store(t, all...)
				files, err := damages[i].inflict(dir, 20, rand.New(rand.NewPCG(1, 2)))
				require.NoError(t, err)
				require.Len(t, touched, files)
				var have [][]byte
				for _, path := range all {
					data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
					require.NoError(t, err)
					have = append(have, data)
					unchanged := bytes.Equal(data, bytes.Repeat([]byte{'x'}, 1000))
					require.NotEqual(t, contains(touched, path), unchanged, path)
				}
				if first != nil {
					require.Equal(t, first, have)
				}
				first = have
			}
		})
	}
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

func TestDamage_OfAStoreWithoutSuchFilesIsAnError(t *testing.T) {
	_, err := damages[0].inflict(store(t, "jetstream/other"), 1, rand.New(rand.NewPCG(1, 2)))
	require.ErrorContains(t, err, "records")
}

func TestWarnings_AreThoseAboutTheStore(t *testing.T) {
	require.Equal(t, []string{
		"Filestore [KV_sessions_dir] Stream state checksum did not match",
		"RAFT [abc - S-R3F-x] Snapshot corrupt",
	}, warnings(`[12] 2026/01/02 03:04:05.000001 [INF] Starting restore for stream
[12] 2026/01/02 03:04:05.000002 [WRN] Filestore [KV_sessions_dir] Stream state checksum did not match
[12] 2026/01/02 03:04:05.000003 [WRN] Waiting for routing to be established...
[12] 2026/01/02 03:04:05.000004 [ERR] RAFT [abc - S-R3F-x] Snapshot corrupt
`))
}
