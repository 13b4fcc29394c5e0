package boot

import (
	"io"
	"log/slog"
	"time"

	"github.com/mastio-aws/mastio/shared/edge/remoteca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/auditlog"
	"github.com/mastio-aws/mastio/shared/usecase/events"
	"github.com/mastio-aws/mastio/shared/usecase/hygiene"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
	"github.com/mastio-aws/mastio/shared/usecase/token"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// Services are what is outside of a process, one value each: what a test has instead of AWS. A service that no function
// of the test asks for may be nil.
type Services struct {
	Store        registry.Store
	Backups      rotateca.Backups // nil: the tables have none
	Keys         Keys
	Vault        token.Vault
	Objects      truststore.Objects
	Domain       truststore.Domain
	Secret       Secret
	MetricsToken Bearer // nil: there is none
	AgentSecrets hygiene.Secrets
	Archive      auditlog.Archive
	Bus          events.Bus
	Functions    remoteca.API // other functions
}

// Over returns the parts of a process over these services. Log and metrics are discarded.
func (s *Services) Over(c Config, now func() time.Time, newID func() string) *Parts {
	return &Parts{Config: c, Log: slog.New(slog.DiscardHandler), Metrics: io.Discard, Now: now, NewID: newID, outside: s}
}

func (s *Services) store() registry.Store         { return s.Store }
func (s *Services) backups() rotateca.Backups     { return s.Backups }
func (s *Services) keys() Keys                    { return s.Keys }
func (s *Services) vault() token.Vault            { return s.Vault }
func (s *Services) objects() truststore.Objects   { return s.Objects }
func (s *Services) domain() truststore.Domain     { return s.Domain }
func (s *Services) secret() Secret                { return s.Secret }
func (s *Services) metricsToken() Bearer          { return s.MetricsToken }
func (s *Services) agentSecrets() hygiene.Secrets { return s.AgentSecrets }
func (s *Services) archive() auditlog.Archive     { return s.Archive }
func (s *Services) bus() events.Bus               { return s.Bus }
func (s *Services) functions() remoteca.API       { return s.Functions }
