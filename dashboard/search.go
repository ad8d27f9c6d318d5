package dashboard

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	maxOffset    = 10_000 // a search keeps the sessions before the page as well
	maxText      = 256    // bytes
)

// search is the query of a request for sessions.
type search struct {
	text          string // "" matches every session
	idle          time.Duration
	sort          string
	descending    bool
	offset, limit int
}

// pageParameters are the parameters of api/sessions, in the order in which they are
// parsed.
var pageParameters = []string{"q", "idle", "sort", "order", "offset", "limit"}

// parseSearch parses a query that may have the given parameters. An empty one
// counts as absent. The error names the invalid parameter.
func parseSearch(query string, parameters []string) (search, error) {
	s := search{sort: byID, limit: defaultLimit}
	values, err := url.ParseQuery(query)
	if err != nil {
		return s, fmt.Errorf("the query cannot be parsed: %w", err)
	}
	for name, given := range values {
		if !slices.Contains(parameters, name) {
			return s, fmt.Errorf("there is no parameter %.40q: use %q", name, parameters)
		}
		if len(given) > 1 {
			return s, fmt.Errorf("the parameter %s is given %d times: use it once", name, len(given))
		}
	}
	for _, name := range parameters {
		value := values.Get(name)
		if value == "" {
			continue
		}
		if hint := s.set(name, value); hint != "" {
			return s, fmt.Errorf("the parameter %s is %.40q: use %s", name, value, hint)
		}
	}
	return s, nil
}

// set sets a parameter. If the value is invalid, set returns what to use instead.
func (s *search) set(name, value string) (hint string) {
	var err error
	switch name {
	case "q":
		s.text = value
		if len(value) > maxText {
			return fmt.Sprintf("at most %d bytes", maxText)
		}
	case "idle":
		s.idle, err = time.ParseDuration(value)
		if err != nil || s.idle < 0 {
			return "a duration such as 90s or 1h30m"
		}
	case "sort":
		s.sort = value
		if !slices.Contains(sorts, value) {
			return fmt.Sprintf("one of %q", sorts)
		}
	case "order":
		s.descending = value == "desc"
		if value != "desc" && value != "asc" {
			return "asc or desc"
		}
	case "offset":
		s.offset, err = strconv.Atoi(value)
		if err != nil || s.offset < 0 || s.offset > maxOffset {
			return fmt.Sprintf("a whole number from 0 to %d, and narrow the search to see what is beyond", maxOffset)
		}
	case "limit":
		s.limit, err = strconv.Atoi(value)
		if err != nil || s.limit < 1 || s.limit > maxLimit {
			return fmt.Sprintf("a whole number from 1 to %d", maxLimit)
		}
	}
	return ""
}
