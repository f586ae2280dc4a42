package control

import (
	"context"

	"gtiv/protocol"
)

func (s *Server) status(ctx context.Context, _ *call) (any, error) {
	st := s.deps.Status(ctx)
	// Lists are never null, so that a script can go through them.
	st.Ports, st.Health, st.Queues = list(st.Ports), list(st.Health), list(st.Queues)
	return st, nil
}

func (s *Server) showConfig(context.Context, *call) (any, error) {
	return protocol.ConfigReply{TOML: s.deps.Config()}, nil
}

func (s *Server) reload(ctx context.Context, c *call) (any, error) {
	if _, err := decode[struct{}](c); err != nil {
		return nil, err
	}
	applied, needRestart, err := s.deps.Reload(ctx)
	if err != nil {
		// What is wrong with a configuration file is for its administrator.
		return nil, badRequest(err.Error())
	}
	c.detail = joined("applied", applied) + joined(" need restart", needRestart)
	return protocol.ReloadReply{Applied: list(applied), NeedRestart: list(needRestart)}, nil
}
