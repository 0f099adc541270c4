package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits restrict the values of a key beyond its type. The zero value allows everything.
type Limits struct {
	bounded  bool
	min, max int64 // both inclusive, if bounded
	also     int64 // allowed beside [min, max] if hasAlso
	hasAlso  bool
	oneOf    []string // allowed strings or list items, if not empty
	anyCase  bool     // oneOf ignores case
	unit     bool     // a decimal from 0 to 1
	check    func(value string) (want string)
}

func atLeast(n int64) Limits             { return Limits{bounded: true, min: n, max: math.MaxInt64} }
func between(lo, hi int64) Limits        { return Limits{bounded: true, min: lo, max: hi} }
func oneOf(values ...string) Limits      { return Limits{oneOf: values} }
func unitInterval() Limits               { return Limits{unit: true} }
func satisfies(f checkFunc) Limits       { return Limits{check: f} }
func orExactly(l Limits, n int64) Limits { l.also, l.hasAlso = n, true; return l }
func ignoringCase(l Limits) Limits       { l.anyCase = true; return l }

// checkFunc says what is wanted instead of a value, or "" if the value will do.
type checkFunc = func(value string) (want string)

// Fault is a setting that cannot be: which key, what was written, what would be right.
type Fault struct {
	Key   string
	Value string
	Want  string // completes the sentence "want ..."
}

// Error makes the fault readable.
func (f Fault) Error() string {
	return fmt.Sprintf("invalid value %q for %s: want %s", f.Value, f.Key, f.Want)
}

// Canonical checks a value and brings it into the form in which it is stored, compared and shown.
func (k *Key) Canonical(value string) (string, error) {
	v := strings.TrimSpace(value)
	canonical, want := k.canonical(v)
	if want == "" && k.Effect == Refused && (k.Null || canonical != k.Default) {
		want = "no value, because Lignum does not support this setting"
		if !k.Null {
			want = fmt.Sprintf("%q, because Lignum does not support this setting", k.Default)
		}
	}
	if want != "" {
		if k.Sensitive() {
			v = "[hidden]"
		}
		return "", Fault{Key: k.Name, Value: v, Want: want}
	}
	return canonical, nil
}

func (k *Key) canonical(v string) (canonical, want string) {
	switch k.Type {
	case Boolean:
		lower := strings.ToLower(v)
		if lower != "true" && lower != "false" {
			return "", "true or false"
		}
		return lower, ""
	case Short:
		return k.Limits.integer(v, 16)
	case Int:
		return k.Limits.integer(v, 32)
	case Long:
		return k.Limits.integer(v, 64)
	case Double:
		return v, k.Limits.decimal(v)
	case List:
		return k.Limits.list(v)
	default:
		return v, k.Limits.text(v)
	}
}

func (l *Limits) integer(v string, bits int) (canonical, want string) {
	n, err := strconv.ParseInt(v, 10, bits)
	if err != nil || !l.allows(n) {
		return "", l.integerWanted(bits)
	}
	return strconv.FormatInt(n, 10), ""
}

func (l *Limits) allows(n int64) bool {
	return !l.bounded || l.min <= n && n <= l.max || l.hasAlso && n == l.also
}

func (l *Limits) integerWanted(bits int) string {
	lo, hi := int64(-1)<<(bits-1), int64(1)<<(bits-1)-1
	if l.bounded {
		lo, hi = max(lo, l.min), min(hi, l.max)
	}
	want := fmt.Sprintf("a whole number from %d to %d", lo, hi)
	if l.hasAlso {
		want += fmt.Sprintf(", or %d", l.also)
	}
	return want
}

func (l *Limits) decimal(v string) (want string) {
	millionths, ok := parseMillionths(v)
	if l.unit && (!ok || millionths < 0 || millionths > 1_000_000) {
		return "a decimal number from 0 to 1"
	}
	if !ok {
		return "a decimal number"
	}
	return ""
}

func (l *Limits) list(v string) (canonical, want string) {
	items := splitList(v)
	for _, item := range items {
		if len(l.oneOf) > 0 && !l.among(item) {
			return "", "a list of " + strings.Join(l.oneOf, ", ")
		}
	}
	canonical = strings.Join(items, ",")
	if l.check != nil {
		return canonical, l.check(canonical)
	}
	return canonical, ""
}

func (l *Limits) text(v string) (want string) {
	if len(l.oneOf) > 0 && !l.among(v) {
		return "one of " + strings.Join(l.oneOf, ", ")
	}
	if l.check != nil {
		return l.check(v)
	}
	return ""
}

func (l *Limits) among(v string) bool {
	if l.anyCase {
		return slices.ContainsFunc(l.oneOf, func(s string) bool { return strings.EqualFold(s, v) })
	}
	return slices.Contains(l.oneOf, v)
}

// splitList splits a list at its commas. Empty items are dropped.
func splitList(v string) []string {
	var items []string
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// parseMillionths reads a decimal number such as 0.5, -3, 1.5E-3 as a whole number of millionths, cut towards zero and
// held within int64. Binary fractions are avoided because they round differently between machines.
func parseMillionths(v string) (millionths int64, ok bool) {
	negative := strings.HasPrefix(v, "-")
	v = strings.TrimPrefix(strings.TrimPrefix(v, "-"), "+")
	exponent := int64(6)
	if i := strings.IndexAny(v, "eE"); i >= 0 {
		e, err := strconv.ParseInt(v[i+1:], 10, 16)
		if err != nil {
			return 0, false
		}
		v, exponent = v[:i], exponent+e
	}
	whole, fraction, _ := strings.Cut(v, ".")
	digits := whole + fraction
	if digits == "" || len(digits) > 400 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	keep := int64(len(whole)) + exponent // how many digits lie before the millionths' point
	for i := range max(keep, 0) {
		digit := int64(0)
		if i < int64(len(digits)) {
			digit = int64(digits[i] - '0')
		}
		if millionths > (math.MaxInt64-digit)/10 {
			millionths = math.MaxInt64
			break
		}
		millionths = millionths*10 + digit
	}
	if negative {
		millionths = -millionths
	}
	return millionths, true
}
