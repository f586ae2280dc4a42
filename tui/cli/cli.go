// Package cli holds the subcommands of gtiv that ask the running daemon, one
// file per noun: flags, one request through protocol/client, and what is
// printed. Tables are for people and may change; --json is for programs and
// does not.
//
// Execute runs a command line and decides the exit code: 0 done, 1 failed, 2
// wrong usage, 3 the daemon is not reachable.
//
// Its one goroutine reads a password, or an answer, from the terminal.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"

	"gtiv/protocol"
	"gtiv/protocol/client"
)

// The exit codes.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitUnreachable = 3
)

// IO is the world of a command.
type IO struct {
	In       *os.File
	Out, Err io.Writer
	Version  string // of this program
	// Examine is the doctor of a server that does not run; nil: there is none.
	Examine func(ctx context.Context, data, config string, fix bool) (*protocol.Checkup, error)
	// ImportGtiv imports into a server that does not run; nil: there is none.
	ImportGtiv func(ctx context.Context, ask protocol.ImportGtiv, progress func(text string)) (*protocol.ImportReport, error)
}

// Target are the flags of every command that asks the daemon.
type Target struct {
	Socket string `placeholder:"PATH" help:"Control socket of the daemon."`
	Data   string `placeholder:"DIR" help:"Data directory of the daemon, where its socket is."`
	JSON   bool   `name:"json" help:"Write JSON."`
}

func (t Target) client() *client.Client { return client.New(client.Find(t.Socket, t.Data)) }

// UsageError is a command line that parses but makes no sense.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// ExitCode is 2.
func (e *UsageError) ExitCode() int { return ExitUsage }

// errShown ends with 1 after everything was said on standard output.
type errShown struct{}

func (errShown) Error() string { return "" }
func (errShown) ExitCode() int { return ExitFailed }

// exited is how kong's wish to end the process, after --help, reaches Execute.
type exited int

// Execute runs the command line args over table, a pointer to a struct of
// commands as kong reads it, and returns the exit code. Commands may take a
// context.Context, an io.Writer (standard output) and an *IO. Without
// arguments it shows the help.
func Execute(ctx context.Context, table any, args []string, streams *IO) (code int) {
	defer func() {
		v := recover()
		if e, ok := v.(exited); ok {
			code = int(e)
		} else if v != nil {
			panic(v)
		}
	}()
	asJSON := slices.Contains(args, "--json")
	parser, err := kong.New(table, kong.Name("gtiv"),
		kong.Description("A short-video social site in one program: gtiv serve runs it, the other commands look after it."),
		kong.Exit(func(code int) { panic(exited(code)) }), kong.Writers(streams.Out, streams.Err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(streams.Out, (*io.Writer)(nil)), kong.Bind(streams))
	if err != nil {
		panic("cli: command table: " + err.Error()) // a programming error
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return fail(streams.Err, &UsageError{Text: err.Error()}, asJSON)
	}
	if err := parsed.Run(); err != nil {
		return fail(streams.Err, err, asJSON)
	}
	return ExitOK
}

// fail says what went wrong and returns the exit code for it.
func fail(w io.Writer, err error, asJSON bool) int {
	code := ExitFailed
	var ec kong.ExitCoder
	if errors.As(err, &ec) {
		code = ec.ExitCode()
	}
	e := explain(err)
	if e.Message == "" { // already said
		return code
	}
	if asJSON {
		_ = writeJSON(w, protocol.ControlFailure{Error: e}) // nowhere left to complain
		return code
	}
	fmt.Fprintf(w, "gtiv: %s\n", cleanLines(e.Message))
	if e.Hint != "" {
		fmt.Fprintln(w, cleanLines(e.Hint))
	}
	return code
}

// explain is an error in the form of the control socket.
func explain(err error) *protocol.ControlError {
	if e, ok := errors.AsType[*protocol.ControlError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*client.NotReachableError](err); ok {
		return &protocol.ControlError{Code: "notReachable", Message: err.Error(), Hint: e.Hint}
	}
	if _, ok := errors.AsType[*client.VersionError](err); ok {
		return &protocol.ControlError{Code: "version", Message: err.Error(), Hint: "Restart the daemon after an upgrade, or use its own program."}
	}
	if _, ok := errors.AsType[*UsageError](err); ok {
		return &protocol.ControlError{Code: "usage", Message: err.Error(), Hint: "gtiv --help shows the commands, gtiv COMMAND --help its flags."}
	}
	return &protocol.ControlError{Code: "failed", Message: err.Error()}
}

// writeJSON writes v with everything escaped that a terminal could act on.
func writeJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err = w.Write(append(escapeJSON(text), '\n'))
	return err
}
