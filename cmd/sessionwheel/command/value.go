package command

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// set gives the field the value that the text is. For a list the text may have
// several, separated by commas, which are added.
func (v *value) set(text string) error {
	if v.existing && text != "" {
		if _, err := os.Stat(text); err != nil {
			return fmt.Errorf("names no file: %w", err)
		}
	}
	if v.dest.Kind() != reflect.Slice {
		return setOne(v.dest, text)
	}
	for one := range strings.SplitSeq(text, ",") {
		item := reflect.New(v.dest.Type().Elem()).Elem()
		if err := setOne(item, one); err != nil {
			return err
		}
		v.dest.Set(reflect.Append(v.dest, item))
	}
	return nil
}

func setOne(dest reflect.Value, text string) error {
	if dest.Type() == durationType {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a duration, such as 1m30s: %s", strings.TrimPrefix(err.Error(), "time: "))
		}
		dest.SetInt(int64(d))
		return nil
	}
	var err error
	switch dest.Kind() {
	case reflect.String:
		dest.SetString(text)
	case reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		dest.SetBool(b)
	case reflect.Int:
		var i int64
		i, err = strconv.ParseInt(text, 10, dest.Type().Bits())
		dest.SetInt(i)
	case reflect.Uint64:
		var u uint64
		u, err = strconv.ParseUint(text, 10, 64)
		dest.SetUint(u)
	case reflect.Float64:
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		dest.SetFloat(f)
	default:
		panic("command: no flag can be a " + dest.Type().String())
	}
	if err != nil {
		return notA(dest.Kind(), text, err)
	}
	return nil
}

// notA says which kind of number, or of bool, a text is not.
func notA(kind reflect.Kind, text string, err error) error {
	what := map[reflect.Kind]string{
		reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Uint64: "a whole number from 0 on", reflect.Float64: "a number",
	}[kind]
	if errors.Is(err, strconv.ErrRange) {
		what = "a smaller number"
	}
	return fmt.Errorf("must be %s, not %q", what, text)
}

// assign sets a flag from the command line or from a variable.
func (f *flag) assign(text string) error {
	if f.dest.Kind() == reflect.Slice && !f.given {
		f.dest.SetZero() // the default
	}
	if err := f.set(text); err != nil {
		return fmt.Errorf("--%s %w", f.name, err)
	}
	if f.enum != nil && !slices.Contains(f.enum, text) {
		return fmt.Errorf("--%s must be one of %s, not %q", f.name, strings.Join(f.enum, ", "), text)
	}
	return nil
}

// isBool reports whether the flag needs no value.
func (f *flag) isBool() bool { return f.dest.Kind() == reflect.Bool }

// missing is the error of a flag without its value.
func (f *flag) missing() error {
	switch {
	case f.want != "":
		return fmt.Errorf("--%s needs a value: %s", f.name, f.want)
	case f.standard != "":
		return fmt.Errorf("--%s needs a value, such as %s", f.name, f.standard)
	case f.placeholder != "":
		return fmt.Errorf("--%s needs a value: %s", f.name, f.placeholder)
	default:
		return fmt.Errorf("--%s needs a value", f.name)
	}
}
