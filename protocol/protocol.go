// Package protocol holds what other programs parse: the frames of the chat
// long connection, op codes, message types, business codes, the JSON bodies of
// the HTTP API (one file per noun), the texts the server writes, and the types
// of the control socket.
//
// It does no I/O and imports nothing of ours, so every layer may use it. The
// specification is the wire contract (wire.md); doc comments name the paragraph.
package protocol

// Version is the version of the control-socket API. It changes when an older
// client could misread a newer daemon.
const Version = 1
