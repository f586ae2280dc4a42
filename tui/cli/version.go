package cli

import (
	"fmt"
	"runtime"

	"gtiv/protocol"
)

// VersionCmd is "gtiv version": of this program. "gtiv status" has the
// daemon's.
type VersionCmd struct {
	JSON bool `name:"json" help:"Write JSON."`
}

// versionReply is what --json prints.
type versionReply struct {
	Version string
	Control int // version of the control-socket API
	Go      string
	OS      string
	Arch    string
}

// Run prints the version.
func (c *VersionCmd) Run(streams *IO) error {
	v := versionReply{Version: streams.Version, Control: protocol.Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if c.JSON {
		return writeJSON(streams.Out, v)
	}
	_, err := fmt.Fprintf(streams.Out, "gtiv %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
	return err
}
