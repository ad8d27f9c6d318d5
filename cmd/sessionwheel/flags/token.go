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
	token, source := os.Getenv(TokenEnv), TokenEnv
	if file != "" {
		if token != "" {
			return "", fmt.Errorf("%s and %s both give a token: use one of them", flag, TokenEnv)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", flag, err)
		}
		token, source = strings.TrimSpace(string(text)), flag+" "+file
		if token == "" {
			return "", fmt.Errorf("%s has no token: write one of at least %d characters into it, such as from \"openssl rand -hex 16\"", source, minToken)
		}
	}
	if token == "" {
		return "", nil
	}
	if err := checkToken(token); err != nil {
		return "", fmt.Errorf("the token in %s %w", source, err)
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
