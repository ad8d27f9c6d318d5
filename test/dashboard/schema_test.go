package dashboard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// The parts of OpenAPI that the dashboard's description uses. Any other part is an
// error, since nothing here would compare it with what is served.
type (
	apiDescription struct {
		OpenAPI    string                              `json:"openapi"`
		Info       map[string]string                   `json:"info"`
		Servers    []map[string]string                 `json:"servers"`
		Paths      map[string]map[string]*apiOperation `json:"paths"` // by path and method
		Components struct {
			Headers   map[string]*apiHeader   `json:"headers"`
			Responses map[string]*apiResponse `json:"responses"`
			Schemas   map[string]*apiSchema   `json:"schemas"`
		} `json:"components"`
	}
	apiOperation struct {
		ID          string                  `json:"operationId"`
		Summary     string                  `json:"summary"`
		Description string                  `json:"description"`
		Parameters  []apiParameter          `json:"parameters"`
		Responses   map[string]*apiResponse `json:"responses"` // by status
	}
	apiParameter struct {
		Name        string     `json:"name"`
		In          string     `json:"in"`
		Required    bool       `json:"required"`
		Description string     `json:"description"`
		Schema      *apiSchema `json:"schema"`
	}
	apiHeader struct {
		Ref         string     `json:"$ref"`
		Description string     `json:"description"`
		Schema      *apiSchema `json:"schema"`
	}
	apiResponse struct {
		Ref         string                `json:"$ref"`
		Description string                `json:"description"`
		Headers     map[string]*apiHeader `json:"headers"`
		Content     map[string]struct {
			Schema *apiSchema `json:"schema"`
		} `json:"content"`
	}
	apiSchema struct {
		Ref         string                `json:"$ref"`
		Type        apiTypes              `json:"type"`
		Description string                `json:"description"`
		Format      string                `json:"format"`
		Default     any                   `json:"default"`
		Enum        []string              `json:"enum"`
		Minimum     *float64              `json:"minimum"`
		Maximum     *float64              `json:"maximum"`
		MaxLength   *int                  `json:"maxLength"`
		Required    []string              `json:"required"`
		Properties  map[string]*apiSchema `json:"properties"`
		Additional  *apiSchema            `json:"additionalProperties"`
		Items       *apiSchema            `json:"items"`
		OneOf       []*apiSchema          `json:"oneOf"`

		seen bool // a value was compared with it
	}
	apiTypes []string
)

// UnmarshalJSON reads one type or several.
func (ts *apiTypes) UnmarshalJSON(b []byte) error {
	if !bytes.HasPrefix(b, []byte("[")) {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	return json.Unmarshal(b, (*[]string)(ts))
}

// apiParse reads a description and replaces references with what they refer to.
func apiParse(t *testing.T, text []byte) *apiDescription {
	t.Helper()
	var d apiDescription
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&d))
	for path, operations := range d.Paths {
		for method, op := range operations {
			for status, r := range op.Responses {
				if r.Ref != "" {
					op.Responses[status] = apiRefer(t, d.Components.Responses, "#/components/responses/", r.Ref)
				}
				require.NotEmpty(t, op.Responses[status].Description, "%s %s %s", method, path, status)
			}
		}
	}
	return &d
}

func apiRefer[T any](t *testing.T, named map[string]T, prefix, ref string) T {
	t.Helper()
	name, ok := strings.CutPrefix(ref, prefix)
	require.True(t, ok, ref)
	require.Contains(t, named, name)
	return named[name]
}

// schema returns s, or what it refers to.
func (d *apiDescription) schema(s *apiSchema) *apiSchema {
	for s != nil && s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	return s
}

// check compares a value, as encoding/json decodes it into an any, with a schema,
// and returns what is wrong with it.
func (d *apiDescription) check(where string, v any, s *apiSchema) (wrong []string) {
	s = d.schema(s)
	if s == nil {
		return []string{where + ": there is no such schema"}
	}
	s.seen = true
	complain := func(format string, args ...any) {
		wrong = append(wrong, where+": "+fmt.Sprintf(format, args...))
	}
	if s.OneOf != nil {
		fits := 0
		for _, one := range s.OneOf {
			if those := d.check(where, v, one); len(those) == 0 {
				fits++
			} else {
				wrong = append(wrong, those...)
			}
		}
		if fits == 1 {
			return nil
		}
		complain("fits %d of its schemas", fits)
		return wrong
	}
	if !slices.ContainsFunc(s.Type, func(name string) bool { return apiIs(v, name) }) {
		complain("%v is not of type %v", v, s.Type)
		return wrong
	}
	switch v := v.(type) {
	case string:
		if s.Enum != nil && !slices.Contains(s.Enum, v) {
			complain("%q is not one of %q", v, s.Enum)
		}
		if s.MaxLength != nil && utf8.RuneCountInString(v) > *s.MaxLength {
			complain("%q is longer than %d", v, *s.MaxLength)
		}
		if s.Format == "date-time" {
			if _, err := time.Parse(time.RFC3339Nano, v); err != nil {
				complain("%v", err)
			}
		}
	case float64:
		if s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum {
			complain("%v is out of bounds", v)
		}
	case []any:
		for i, one := range v {
			wrong = append(wrong, d.check(fmt.Sprintf("%s[%d]", where, i), one, s.Items)...)
		}
	case map[string]any:
		if s.Properties == nil && s.Additional == nil {
			break // any object
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				complain("%s is missing", name)
			}
		}
		for name, one := range v {
			described, ok := s.Properties[name]
			if !ok {
				described = s.Additional
			}
			if described == nil {
				complain("%s is not described", name)
				continue
			}
			wrong = append(wrong, d.check(where+"."+name, one, described)...)
		}
	}
	return wrong
}

// apiIs reports whether a value is of a type of JSON Schema.
func apiIs(v any, name string) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

// unseen returns the properties that no value was compared with.
func (d *apiDescription) unseen() (names []string) {
	var look func(where string, s *apiSchema)
	look = func(where string, s *apiSchema) {
		if s == nil || s.Ref != "" {
			return
		}
		for name, p := range s.Properties {
			if q := d.schema(p); !q.seen {
				names = append(names, where+"."+name)
			}
			look(where+"."+name, p)
		}
		look(where+"[]", s.Items)
		look(where+"{}", s.Additional)
	}
	for name, s := range d.Components.Schemas {
		if !s.seen {
			names = append(names, name)
		}
		look(name, s)
	}
	return names
}

func TestOpenAPI_ItsCheckFindsWhatIsWrong(t *testing.T) {
	const schema = `{"openapi":"3.1.0","components":{"schemas":{
		"Inner":{"type":"object","required":["n"],"properties":{"n":{"type":"integer","minimum":0,"maximum":3},"other":{"type":"string","enum":["a"],"maxLength":1}}},
		"Outer":{"type":"object","required":["list"],"properties":{
			"list":{"type":"array","items":{"$ref":"#/components/schemas/Inner"}},
			"maybe":{"oneOf":[{"$ref":"#/components/schemas/Inner"},{"type":"null"}]},
			"number":{"type":["number","null"]},"when":{"type":"string","format":"date-time"},
			"map":{"type":"object","additionalProperties":{"type":"boolean"}}}}}}}`
	for value, want := range map[string]string{
		`{"list":[{"n":1,"other":"a"}],"maybe":{"n":0},"number":1.5,"when":"2026-01-02T15:04:05.123Z","map":{"x":true}}`: "",
		`{"list":[],"maybe":null,"number":null}`: "",
		`[]`:                                     "not of type",
		`{}`:                                     "list is missing",
		`{"list":[],"new":1}`:                    "new is not described",
		`{"list":[{"n":1},{"n":"1"}]}`:           "list[1].n: 1 is not of type [integer]",
		`{"list":[{"n":1.5}]}`:                   "not of type",
		`{"list":[{"n":4}]}`:                     "out of bounds",
		`{"list":[{"n":-1}]}`:                    "out of bounds",
		`{"list":[{}]}`:                          "list[0]: n is missing",
		`{"list":[{"n":1,"other":"b"}]}`:         "not one of",
		`{"list":[{"n":1,"other":"aa"}]}`:        "longer than 1",
		`{"list":[],"maybe":{}}`:                 "fits 0",
		`{"list":[],"number":"1"}`:               "not of type",
		`{"list":[],"when":"yesterday"}`:         "yesterday",
		`{"list":[],"map":{"x":1}}`:              "map.x",
		`{"list":null}`:                          "not of type",
	} {
		d := apiParse(t, []byte(schema))
		var v any
		require.NoError(t, json.Unmarshal([]byte(value), &v))
		wrong := strings.Join(d.check("", v, d.Components.Schemas["Outer"]), "\n")
		if want == "" {
			require.Empty(t, wrong)
			continue
		}
		require.Contains(t, wrong, want, value)
	}
	d := apiParse(t, []byte(schema))
	d.check("", map[string]any{"list": []any{}}, d.Components.Schemas["Outer"])
	require.ElementsMatch(t, []string{"Inner", "Inner.n", "Inner.other", "Outer.maybe", "Outer.number", "Outer.when", "Outer.map"}, d.unseen())
}
