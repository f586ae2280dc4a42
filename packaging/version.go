package packaging

import "runtime/debug"

// version is set by the linker: -ldflags "-X gtiv/packaging.version=v1.2.3".
var version string

// Version is the version of the program: what the linker set, else what the Go
// tool recorded of the module and its commit, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
