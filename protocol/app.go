package protocol

// This file holds the bodies of wire.md 4.5 and 13: what a client asks about
// the server itself.

// CometReply answers GET /get-comet.
type CometReply struct {
	Head
	List []string `doc:"host:port of the chat long connections"`
}

// VersionRequest is the query of GET /app/version.
type VersionRequest struct {
	Type int `required:"true" doc:"1 is the Android app" example:"1"`
}

// VersionReply answers GET /app/version.
type VersionReply struct {
	Head
	Version      string `doc:"newest version of the app that the operator offers; empty when there is none"`
	URL          string `json:"Url" doc:"where to get it"`
	ForceUpgrade bool
}

// CountriesReply answers GET /app/country.
type CountriesReply struct {
	Head
	List []CountryItem
}

// CountryItem is one country with telephone numbers of its own.
type CountryItem struct {
	TelCode int    `example:"86"`
	Country string `doc:"its name in the caller's language" example:"China"`
}

// ClientTokenRequest is the query of GET /obstore/client_token.
type ClientTokenRequest struct {
	Type      int    `required:"true" doc:"1 app, 2 chat" example:"2"`
	ObjectKey string `doc:"accepted and not used: the token is for any key"`
}

// ClientTokenReply answers GET /obstore/client_token.
type ClientTokenReply struct {
	Head
	ImObsToken    string `doc:"upload token, access key:signature:policy, valid for 2 hours"`
	RemoteBaseURL string `json:"RemoteBaseUrl" doc:"a file's URL is this, a slash and its key"`
}
