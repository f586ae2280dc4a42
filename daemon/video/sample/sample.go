// Package sample holds the video that ships in the binary, so that the feed has
// something to show before anybody has uploaded (wire.md 5 /video/home, 17 K11).
//
// It is laid out like every other video (wire.md 12): FS holds the files of one
// directory, and Key is the name of that directory among the videos. The files
// are made by make.sh, never by hand. The package has no goroutines and no state.
package sample

import (
	"embed"
	"io/fs"
)

//go:generate ./make.sh

const (
	// Title is what the feed shows under the clip.
	Title = "Welcome to gtiv"
	// Playlist is the name of the file that a player opens.
	Playlist = "index.m3u8"
	// Cover is the name of the still picture beside it.
	Cover = "cover.jpg"
)

//go:embed index.m3u8 index*.ts cover.jpg
var files embed.FS

// FS is the directory that Key names: the playlist, its segments index0.ts and
// on, and the cover. It is read-only and safe for concurrent use.
func FS() fs.FS { return files }
