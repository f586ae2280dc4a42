// Gtiv turns a single Linux host into a short-video social site: short video,
// live streaming, private and group chat, audio and video calls. "gtiv serve"
// is the daemon; the other commands look after it. This file is the command
// table, no more.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"gtiv/daemon"
	"gtiv/packaging"
	"gtiv/tui/cli"
)

// commands is every command of gtiv.
type commands struct {
	Serve    daemon.ServeCmd  `cmd:"" help:"Run the server."`
	Status   cli.StatusCmd    `cmd:"" help:"Show how the running server does; exit code 1 if it is not well, 3 if it does not run."`
	User     cli.UserCmd      `cmd:"" help:"Look after accounts."`
	Invite   cli.InviteCmd    `cmd:"" help:"Look after invitation codes."`
	Report   cli.ReportCmd    `cmd:"" help:"Look after what users reported."`
	Room     cli.RoomCmd      `cmd:"" help:"Look after groups."`
	Video    cli.VideoCmd     `cmd:"" help:"Look after short videos."`
	Live     cli.LiveCmd      `cmd:"" help:"Look after live rooms."`
	Ban      cli.BanCmd       `cmd:"" help:"Look after banned addresses."`
	Announce cli.AnnounceCmd  `cmd:"" help:"Send a message to everybody, or show how far such messages are."`
	Audit    cli.AuditCmd     `cmd:"" help:"Show what administrators and moderators changed."`
	Queue    cli.QueueCmd     `cmd:"" help:"Look after the queues and what was given up in them."`
	Import   cli.ImportCmd    `cmd:"" help:"Bring in what was made elsewhere."`
	Doctor   cli.DoctorCmd    `cmd:"" help:"Examine the server and its files; exit code 1 if something is wrong."`
	Config   daemon.ConfigCmd `cmd:"" help:"Show and check the configuration."`
	Version  cli.VersionCmd   `cmd:"" help:"Show the version of this program."`
}

func main() { os.Exit(run()) }

// run ends the context at the first SIGINT or SIGTERM; a second one kills.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return cli.Execute(ctx, &commands{}, os.Args[1:], &cli.IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: packaging.Version(), Examine: daemon.Examine, ImportGtiv: daemon.ImportGtiv,
	})
}
