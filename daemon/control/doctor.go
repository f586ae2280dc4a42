package control

import (
	"context"
	"fmt"

	"gtiv/protocol"
)

func (s *Server) examine(ctx context.Context, _ *call) (any, error) {
	return s.checkup(ctx, false)
}

func (s *Server) repair(ctx context.Context, c *call) (any, error) {
	if _, err := decode[struct{}](c); err != nil {
		return nil, err
	}
	found, err := s.checkup(ctx, true)
	if err != nil {
		return nil, err
	}
	var fixed []string
	for _, k := range found.Checks {
		if k.Fixed {
			fixed = append(fixed, k.Name)
		}
	}
	c.detail, c.nothing = joined("fixed", fixed), len(fixed) == 0
	return found, nil
}

func (s *Server) checkup(ctx context.Context, fix bool) (protocol.Checkup, error) {
	found, err := s.deps.Doctor(ctx, fix)
	if err != nil {
		return found, fmt.Errorf("examine: %w", err)
	}
	found.Checks = list(found.Checks)
	return found, nil
}
