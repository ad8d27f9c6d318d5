package flags

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// TokenEnv is the environment variable with the token of an HTTP server.
const TokenEnv = "SESSIONWHEEL_HTTP_TOKEN"

// minToken is the minimum length of a token: 16 random characters cannot be guessed.
const minToken = 16

// ReadToken returns the token of an HTTP server: from the file that the flag of that
// name gives, or from the environment, or "" if there is none in either.
func ReadToken(flag, file string) (string, error) {
	token, err := readSecret(TokenEnv, flag, file)
	if token == "" || err != nil {
		return "", err
	}
	if err := checkToken(token); err != nil {
		source := TokenEnv
		if file != "" {
			source = flag + " " + file
		}
		return "", fmt.Errorf("the token in %s %w", source, err)
	}
	return token, nil
}

// readSecret returns a token from the file that the flag of that name gives, or from the
// environment variable, or "" if there is none in either.
func readSecret(env, flag, file string) (string, error) {
	given := os.Getenv(env)
	if file == "" {
		return given, nil
	}
	if given != "" {
		return "", fmt.Errorf("%s and %s both give a token: use one of them", flag, env)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("%s %s has no token: write one of at least %d characters into it, such as from \"openssl rand -hex 16\"", flag, file, minToken)
	}
	return token, nil
}

func checkToken(token string) error {
	for _, b := range []byte(token) {
		if b <= ' ' || b > '~' {
			return errors.New("must be of letters, digits and punctuation, without spaces")
		}
	}
	if len(token) < minToken {
		return fmt.Errorf("must have at least %d characters, not %d", minToken, len(token))
	}
	return nil
}
