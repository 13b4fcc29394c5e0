package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/usecase/enroll"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
)

// reissued are the agents whose re-issue is measured, through so many rotations: the record of an agent grows with the
// certificates that it leaves behind. The overlap of each rotation is over before the next one.
const (
	reissued, reissueRounds = 20, 3
	reissueOverlap          = 24 * time.Hour
)

// sellReissues measures what the re-issue after a rotation of the Org CA uses for each agent with a secret, in the
// dearest of the rounds. What the passes use, and the notices to owners of other agents, is measured before, and taken
// out.
func (s *shop) sellReissues(ctx context.Context, all map[string]spent) error {
	passes, err := s.reissue(ctx)
	if err != nil {
		return err
	}
	ids := make([]agent.ID, reissued)
	for n := range ids {
		a, err := s.enroller.Enroll(ctx, enroll.Request{
			Name:    fmt.Sprintf("settlement-instructions-%04d", n),
			Profile: agent.Profile{Capabilities: []string{"payments:read", "ledger:write"}, Owner: "payments@example.com"},
			Deliver: agent.SecretsManager,
			By:      audit.By{Actor: "test"},
		})
		if err != nil {
			return err
		}
		ids[n] = a.Agent.ID
	}
	for range reissueRounds {
		used, err := s.reissue(ctx)
		if err != nil {
			return err
		}
		one := spent{
			reads:      (used.reads - passes.reads) / reissued,
			writes:     (used.writes - passes.writes) / reissued,
			signatures: (used.signatures - passes.signatures) / reissued,
			logged:     (used.logged - passes.logged) / reissued,
		}
		if one.writes > all[opReissue].writes {
			all[opReissue] = one
		}
		if err := s.firstUse(ctx, ids); err != nil {
			return err
		}
	}
	return nil
}

// reissue rotates the Org CA with an overlap, and returns what its re-issue uses until it is finished.
func (s *shop) reissue(ctx context.Context) (used spent, err error) {
	s.ahead.Add(int64(reissueOverlap))
	if _, err := s.standby.Run(ctx); err != nil {
		return used, err
	}
	if _, err := s.rotateCA.Do(ctx, rotateca.Request{
		Mode:    rotateca.Mint,
		Overlap: reissueOverlap,
		By:      audit.By{Actor: "test"},
	}); err != nil {
		return used, err
	}
	used, err = s.during(1, "", func(int) error {
		for range 10 {
			r, err := s.hygiene.Reissue(ctx)
			if err != nil || r.Failed > 0 {
				return fmt.Errorf("re-issue: %+v, %w", r, err)
			}
			if r.State == orgca.Finished {
				return nil
			}
			s.ahead.Add(int64(time.Minute))
		}
		return fmt.Errorf("the re-issue is not finished after ten passes")
	})
	for line := range bytes.Lines(s.log.Bytes()) {
		used.logged += float64(len(bytes.TrimSpace(line)) + logOverhead)
	}
	return used, err
}

// firstUse has each agent ask for a token with what is in its secret: the certificate before ends.
func (s *shop) firstUse(ctx context.Context, ids []agent.ID) error {
	for _, id := range ids {
		var v struct {
			CertPEM string `json:"cert_pem"`
		}
		if err := json.Unmarshal(s.secrets.Current(hygiene.SecretName(id)), &v); err != nil {
			return fmt.Errorf("secret of %s: %w", id, err)
		}
		if _, err := s.tokens.Issue(ctx, token.Request{CertificatePEM: v.CertPEM}); err != nil {
			return fmt.Errorf("token of %s: %w", id, err)
		}
	}
	return nil
}
