package daemon

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time in the configuration: "15s", "2m30s", "720h",
// or whole days, "30d".
type Duration time.Duration

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// UnmarshalText reads "15s" or "30d". A bare number is refused, because its
// unit would be a guess; only "0" needs none.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/(24*time.Hour)) {
			return fmt.Errorf("not a whole number of days")
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour) //nolint:gosec // bounded above
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`not a duration like "15s", "10m", "720h" or "30d"`)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the shortest form that reads back: "720h", not "720h0m0s".
func (d Duration) MarshalText() ([]byte, error) {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

func (d Duration) String() string {
	text, _ := d.MarshalText() // never fails
	return string(text)
}

// Size is a number of bytes in the configuration: "19MiB", "512KiB", "1GiB",
// "4096B".
type Size int64

// sizeUnits, longest suffix first where one ends in another.
var sizeUnits = [...]struct {
	suffix string
	bytes  int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads "64MiB". A unit is needed, and only the binary ones are
// known, so that nobody has to guess what MB meant.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf(`not a size like "64MiB" (units: B, KiB, MiB, GiB, TiB)`)
}

// MarshalText writes the size in the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range sizeUnits {
		if int64(s)%u.bytes == 0 && (s != 0 || u.bytes == 1) {
			return []byte(strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix), nil
		}
	}
	return []byte(strconv.FormatInt(int64(s), 10) + "B"), nil
}

func (s Size) String() string {
	text, _ := s.MarshalText() // never fails
	return string(text)
}

// Secret is a value that is never printed, logged or answered; only Reveal
// gives it away.
type Secret string

const redacted = "[redacted]"

// Reveal is the secret itself, for the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret out of what is printed.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the secret.
func (s *Secret) UnmarshalText(text []byte) error { *s = Secret(text); return nil }
