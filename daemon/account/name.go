package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"gtiv/protocol"
	"gtiv/store"
)

const (
	maxNameRunes     = 32
	maxPasswordRunes = 128
	zeroWidthJoiner  = '\u200d' // part of many emoji
)

// checkUsername cleans a user name and says what is wrong with it. An
// apostrophe is refused: the app builds SQL from names (wire.md K2).
func checkUsername(name string) (string, error) {
	name = strings.TrimSpace(name)
	if err := checkName("Username", name, false); err != nil {
		return "", err
	}
	if passesForAnother(name) {
		return "", badName("Username", "usernameReserved")
	}
	return name, nil
}

// passesForAnother finds user names that an operator could take for something
// else: for an id, for "@" and a name (see Find), or for a deleted account.
func passesForAnother(name string) bool {
	key := store.FoldName(name)
	rest, deleted := strings.CutPrefix(key, "deleted-")
	return strings.IndexFunc(key, notDigit) < 0 || strings.HasPrefix(key, "@") || deleted && rest != "" && !notDigit(rune(rest[0]))
}

func notDigit(r rune) bool { return !unicode.IsDigit(r) }

// refusedName is err, or the answer to a user name that the censor would mask:
// it cannot be taken in part.
func refusedName(masked string, err error) error {
	if err == nil {
		err = protocol.Errorf(protocol.CodeBadValue, "wordRefused", masked)
	}
	return err
}

// checkNickname cleans a nickname and has the site's censor look at it.
func (s *Service) checkNickname(name string) (string, error) {
	name, err := cleanNickname(name)
	if err != nil {
		return "", err
	}
	return s.deps.Censor.Apply(name)
}

// cleanNickname cleans a nickname. An apostrophe is replaced by the typographic
// one, which looks the same to people and is harmless to the app (wire.md K2).
func cleanNickname(name string) (string, error) {
	name = strings.ReplaceAll(strings.TrimSpace(name), "'", "\u2019")
	if err := checkName("Nickname", name, true); err != nil {
		return "", err
	}
	return name, nil
}

// TidyUsername is a user name of another server, changed as little as our rules
// need; fallback if nothing is left of it. Digits alone may stay: so do those who
// signed up with a phone number.
func TidyUsername(name, fallback string) string {
	name = strings.TrimLeft(tidy(name, false), "@ ")
	if rest, ok := strings.CutPrefix(store.FoldName(name), "deleted-"); ok && rest != "" && !notDigit(rune(rest[0])) {
		name = tidy("was-"+name, false)
	}
	if store.FoldName(name) == "" {
		return fallback
	}
	return name
}

// TidyNickname is TidyUsername for nicknames.
func TidyNickname(name, fallback string) string {
	if name = tidy(name, true); name == "" {
		return fallback
	}
	return name
}

func tidy(name string, emoji bool) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\'':
			return '\u2019'
		case badRune(r, emoji):
			return -1
		}
		return r
	}, name))
	if r := []rune(name); len(r) > maxNameRunes {
		name = strings.TrimSpace(string(r[:maxNameRunes]))
	}
	return name
}

// TidyAvatar is the address of a picture, "" if it is none that clients may be
// told to load.
func TidyAvatar(address string) string {
	if address = strings.TrimSpace(address); checkAvatar(address) != nil {
		return ""
	}
	return address
}

// TidyPhone is a phone number as sign-ups store it, empty if it is none.
func TidyPhone(telCode, tel string) (string, string) {
	code, number, err := checkPhone(telCode, tel)
	if err != nil {
		return "", ""
	}
	return code, number
}

func checkName(field, name string, emoji bool) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxNameRunes {
		return badName(field, "usernameLength", "1", "32")
	}
	if !utf8.ValidString(name) {
		return badName(field, "usernameChars")
	}
	for _, r := range name {
		if badRune(r, emoji) {
			return badName(field, "usernameChars")
		}
	}
	return nil
}

// badRune finds control, direction and other invisible characters, line
// breaks, and the apostrophe.
func badRune(r rune, emoji bool) bool {
	switch {
	case r == '\'', r == utf8.RuneError:
		return true
	case emoji && r == zeroWidthJoiner:
		return false
	case r == ' ':
		return false
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Zs):
		return true
	case r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0': // Hangul fillers are letters that show nothing
		return true
	}
	return false
}

// badName nests the reason's text key: the outer text names the field.
func badName(field, reason string, args ...string) error {
	return &protocol.Error{Code: protocol.CodeBadValue, Key: "badValue", Args: []string{field, protocol.TextKey(reason, args...)}}
}

func (s *Service) checkPassword(password string) error {
	least := max(s.cfg.Load().PasswordMin, 1)
	if n := utf8.RuneCountInString(password); n < least || n > maxPasswordRunes || len(password) > 4*maxPasswordRunes {
		return protocol.Errorf(protocol.CodeBadValue, "passwordLength", least, maxPasswordRunes)
	}
	return nil
}
