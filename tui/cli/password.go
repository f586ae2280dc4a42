package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// maxPasswordBytes is far above what the daemon accepts; it only bounds input.
const maxPasswordBytes = 4096

// readPassword reads a password from the terminal, twice and without echo, or
// one line from standard input when that is no terminal. Passwords never come
// by argv, where every user of the host could see them.
func readPassword(ctx context.Context, streams *IO) (string, error) {
	if !isTerminal(streams.In) {
		return checkPassword(readLine(streams.In))
	}
	first, err := prompt(ctx, streams, "New password: ")
	if err != nil {
		return "", err
	}
	second, err := prompt(ctx, streams, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return checkPassword(first, nil)
}

func checkPassword(p string, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case p == "":
		return "", errors.New("no password was given")
	case !utf8.ValidString(p):
		return "", errors.New("the password is not valid UTF-8")
	}
	return p, nil
}

func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPasswordBytes+1)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	if len(line) > maxPasswordBytes {
		return "", errors.New("the password is too long")
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS) //nolint:gosec // a file descriptor fits
	return err == nil
}

// prompt asks for one line on the terminal without showing it.
func prompt(ctx context.Context, streams *IO, text string) (string, error) {
	fd := int(streams.In.Fd()) //nolint:gosec // a file descriptor fits
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	fmt.Fprint(streams.Err, text)
	defer fmt.Fprintln(streams.Err)
	// Without ISIG, Ctrl-C arrives as a character, so that the terminal never
	// stays behind without echo.
	silent := *before
	silent.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
	silent.Cc[unix.VMIN], silent.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &silent); err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	defer unix.IoctlSetTermios(fd, unix.TCSETS, before) //nolint:errcheck // nothing better to do
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() { // ends with the line, or with the process
		line, err := typeLine(streams.In)
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// typeLine reads keys up to Enter, with the editing keys that people expect.
func typeLine(r io.Reader) (string, error) {
	const ctrlC, ctrlD, ctrlU, backspace, del = 3, 4, 21, 8, 127
	var line []byte
	var key [1]byte
	for len(line) <= maxPasswordBytes {
		if _, err := io.ReadFull(r, key[:]); err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		switch k := key[0]; k {
		case '\r', '\n':
			return string(line), nil
		case ctrlC:
			return "", errors.New("interrupted")
		case ctrlD:
			if len(line) == 0 {
				return "", errors.New("no password was given")
			}
		case ctrlU:
			line = line[:0]
		case backspace, del:
			_, n := utf8.DecodeLastRune(line)
			line = line[:len(line)-n]
		default:
			line = append(line, k)
		}
	}
	return "", errors.New("the password is too long")
}

// generatePassword makes a password that is easy to type on a phone: 16
// characters of 32, 80 bits, none of which looks like another.
func generatePassword() string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails, or ends the process
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[int(r)%len(alphabet)]) // 256 is a multiple of 32
	}
	return b.String()
}
