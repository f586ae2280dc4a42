package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// confirm asks on the terminal whether to go on with what cannot be taken back.
// Where nobody can be asked, only a flag says so.
func confirm(ctx context.Context, streams *IO, yes bool, question string) error {
	if yes {
		return nil
	}
	if !isTerminal(streams.In) {
		return &UsageError{Text: "this cannot be taken back: give --yes, there is no terminal to ask on"}
	}
	fmt.Fprintf(streams.Err, "%s [y/N] ", question)
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() { // ends with the line, or with the process
		line, err := bufio.NewReader(io.LimitReader(streams.In, maxAnswerBytes)).ReadString('\n')
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			return fmt.Errorf("read answer: %w", r.err)
		}
		if a := strings.ToLower(strings.TrimSpace(r.line)); a != "y" && a != "yes" {
			return errors.New("nothing was done")
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const maxAnswerBytes = 100
