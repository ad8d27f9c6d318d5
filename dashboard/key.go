package dashboard

import (
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"
)

const keyPrefix = "x"

var errKey = errors.New("the path does not end in a key: use that of a session in the list")

// keyOf returns the key of an ID, which stands for it in URLs: hexadecimal digits, since
// no parser of URLs changes those. An ID may be any bytes, such as "..", which browsers
// resolve, or invalid UTF-8, which JSON cannot hold. It is nil if the ID is too long.
func keyOf(id string) *string {
	if len(id) > maxID {
		return nil
	}
	key := keyPrefix + hex.EncodeToString([]byte(id))
	return &key
}

// parseKey returns the ID of a key.
func parseKey(key string) (string, error) {
	digits, ok := strings.CutPrefix(key, keyPrefix)
	id, err := hex.DecodeString(digits)
	if !ok || err != nil || len(id) > maxID {
		return "", errKey
	}
	return string(id), nil
}

// isExact reports whether an ID is shown as it is, and not cut or with other characters
// in place of bytes that are not UTF-8.
func isExact(id string) bool { return len(id) <= maxID && utf8.ValidString(id) }
