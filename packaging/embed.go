// Package packaging holds what is installed beside the program: the documented
// default configuration, which is also compiled in, the system users and the
// package description. It owns no code but the embedding.
package packaging

import _ "embed" // for DefaultConfig

// DefaultConfig is gtiv.toml: every key of the configuration with its meaning,
// unit and default.
//
//go:embed gtiv.toml
var DefaultConfig string
