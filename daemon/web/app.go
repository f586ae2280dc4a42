package web

import (
	"time"

	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

// handleComet serves GET /get-comet.
func (s *Server) handleComet(c *api.Call, _ *protocol.NoRequest) (*protocol.CometReply, error) {
	return &protocol.CometReply{List: []string{s.base(c.Request).at(s.ports.Comet)}}, nil
}

// appAndroid is the Type of the Android app.
const appAndroid = 1

// handleVersion serves GET /app/version.
func (s *Server) handleVersion(_ *api.Call, req *protocol.VersionRequest) (*protocol.VersionReply, error) {
	if req.Type != appAndroid {
		return &protocol.VersionReply{}, nil // known, but nothing is offered
	}
	site := s.site.Load()
	return &protocol.VersionReply{Version: site.AppVersion, URL: site.AppURL, ForceUpgrade: site.AppForce}, nil
}

// handleCountries serves GET /app/country.
func (s *Server) handleCountries(c *api.Call, _ *protocol.NoRequest) (*protocol.CountriesReply, error) {
	rep := &protocol.CountriesReply{}
	for _, o := range protocol.Countries() {
		rep.List = append(rep.List, protocol.CountryItem{TelCode: o.TelCode, Country: o.Name(c.Language)})
	}
	return rep, nil
}

// uploadTokenValid is longer than the app keeps a token (7000 s, wire.md 13).
const uploadTokenValid = 2 * time.Hour

// handleClientToken serves GET /obstore/client_token. The app uploads to Qiniu
// only, and only when the token has the form of one. Without credentials of Qiniu
// ours has the form, the app's upload fails, and nothing else does; clients that
// upload to this server use the same token.
func (s *Server) handleClientToken(c *api.Call, _ *protocol.ClientTokenRequest) (*protocol.ClientTokenReply, error) {
	rep := &protocol.ClientTokenReply{}
	s.fallbackClientToken(c, rep)
	return rep, nil
}

// fallbackClientToken fills in all fields: the app crashes on a missing one.
func (s *Server) fallbackClientToken(c *api.Call, rep *protocol.ClientTokenReply) {
	rep.ImObsToken, rep.RemoteBaseURL = s.deps.UploadToken(c.Principal.User, uploadTokenValid)
	if rep.RemoteBaseURL == "" {
		rep.RemoteBaseURL = s.clipEndpoint(c) + text(c.Principal.User)
	}
}
