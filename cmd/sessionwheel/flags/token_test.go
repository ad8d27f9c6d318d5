package flags

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadToken_FromAFileOrTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for _, tt := range []struct {
		name, env, text string
		file            bool
		want, err       string
	}{
		{name: "none"},
		{name: "of the file, without its newline", file: true, text: "0123456789abcdef\r\n", want: "0123456789abcdef"},
		{name: "of the environment", env: "0123456789abcdef", want: "0123456789abcdef"},
		{name: "both", file: true, text: "0123456789abcdef", env: "0123456789abcdef", err: "--a-file and SESSIONWHEEL_HTTP_TOKEN both"},
		{name: "an empty file", file: true, text: "\n", err: "has no token"},
		{name: "short", file: true, text: "0123456789abcde", err: "at least 16 characters, not 15"},
		{name: "short, of the environment", env: "0123456789abcde", err: "SESSIONWHEEL_HTTP_TOKEN must have at least 16"},
		{name: "two words", file: true, text: "01234567 89abcdef", err: "without spaces"},
		{name: "not ASCII", env: "0123456789abcdéf", err: "letters, digits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(TokenEnv, tt.env)
			path := ""
			if tt.file {
				path = file
				require.NoError(t, os.WriteFile(file, []byte(tt.text), 0o600))
			}
			got, err := ReadToken("--a-file", path)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				require.NotContains(t, err.Error(), "0123", "the secret is not shown")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	_, err := ReadToken("--a-file", file+"x")
	require.ErrorContains(t, err, "--a-file")
}
