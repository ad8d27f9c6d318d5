package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster/embedded"
)

// tempChild runs a broker without a Dir, whose temporary directory is in Temp.
func tempChild(arg []byte) error {
	var temp string
	if err := json.Unmarshal(arg, &temp); err != nil {
		return err
	}
	if err := os.Setenv("TMPDIR", temp); err != nil {
		return err
	}
	b, err := embedded.Start(embedded.Config{})
	if err != nil {
		return err
	}
	if err := answer(true); err != nil {
		return err
	}
	if err := questions(func() error { return answer(true) }); err != nil {
		return err
	}
	return b.Close()
}

func TestEmbedded_RemovesTheTemporaryDirectoryOfAKilledBrokerOnly(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	dirs := func() []string {
		found, err := filepath.Glob(filepath.Join(temp, "*"))
		require.NoError(t, err)
		return found
	}
	killed := spawn(t, "temp", temp)
	left := dirs()
	require.Len(t, left, 1)
	lives := spawn(t, "temp", temp)
	require.Len(t, dirs(), 2, "the first is still there")
	killed.kill()
	require.Len(t, dirs(), 2, "a crash leaves its own")
	// These may be in use or belong to others: a directory without a lock, which may
	// have been made just now, and a link and a file of such names.
	others := []string{filepath.Join(temp, "sessionwheel-broker-early"), filepath.Join(temp, "sessionwheel-broker-link"), filepath.Join(temp, "sessionwheel-broker-file")}
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "lock"), nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(others[0], "store", "jetstream"), 0o700))
	require.NoError(t, os.Symlink(elsewhere, others[1]))
	require.NoError(t, os.WriteFile(others[2], nil, 0o600))

	next := spawn(t, "temp", temp)
	require.NoDirExists(t, left[0])
	for _, path := range others {
		_, err := os.Lstat(path)
		require.NoError(t, err)
	}
	require.FileExists(t, filepath.Join(elsewhere, "lock"))
	require.Len(t, dirs(), 2+len(others))
	next.stop()
	var well bool
	lives.ask(&well)
	require.True(t, well)
	lives.stop()
	require.ElementsMatch(t, others, dirs(), "who ends in good order leaves nothing")
}
