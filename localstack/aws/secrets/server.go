// Package secrets stands in for AWS Secrets Manager: the operations the Mastio uses, with the version stages of the
// real one.
package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Config says where secrets are kept and whose they are.
type Config struct {
	Dir     string           // folder for secrets.json (mode 0600); empty: memory only
	Region  string           // in ARNs; empty: us-east-1
	Account string           // in ARNs; empty: 000000000000
	Now     func() time.Time // nil: time.Now
}

// Server answers the AWS JSON 1.1 protocol of Secrets Manager. It is safe for concurrent use; every change is on disk
// before it is answered. Package sigv4 checks the signatures.
type Server struct {
	cfg  Config
	path string

	mu      sync.Mutex
	secrets map[string]*secret // by name
}

// New opens the store.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg}
	if s.cfg.Region == "" {
		s.cfg.Region = "us-east-1"
	}
	if s.cfg.Account == "" {
		s.cfg.Account = "000000000000"
	}
	if s.cfg.Now == nil {
		s.cfg.Now = time.Now
	}
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("open secrets: %w", err)
		}
		s.path = filepath.Join(cfg.Dir, "secrets.json")
	}
	var err error
	if s.secrets, err = load(s.path); err != nil {
		return nil, fmt.Errorf("open secrets: %w", err)
	}
	return s, nil
}

// fault is an error of the service, in the words a client matches on.
type fault struct {
	Type    string `json:"__type"`
	Message string `json:"Message"`
	status  int
}

func (f *fault) Error() string { return f.Type + ": " + f.Message }

func refuse(kind, format string, args ...any) *fault {
	return &fault{Type: kind, Message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

const (
	contentType = "application/x-amz-json-1.1"
	// maxBody leaves room for a secret of the largest size, 64 KiB, in base64 and with its metadata.
	maxBody = 256 << 10
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := s.answer(w, r)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-RequestId", newVersionID())
	if err == nil {
		json.NewEncoder(w).Encode(out) //nolint:errcheck // the client is gone: no one reads the error
		return
	}
	f, known := errors.AsType[*fault](err)
	if !known {
		f = &fault{Type: "InternalServiceError", Message: err.Error(), status: http.StatusInternalServerError}
	}
	w.Header().Set("X-Amzn-Errortype", f.Type)
	w.WriteHeader(f.status)
	json.NewEncoder(w).Encode(f) //nolint:errcheck // as above
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != contentType {
		return nil, refuse("SerializationException", "content type is not %s", contentType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, refuse("SerializationException", "body is too long or incomplete")
	}
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	op := operations[name]
	if r.Method != http.MethodPost || !ok || op == nil {
		return nil, refuse("UnknownOperationException", "this stand-in does not know %q", r.Header.Get("X-Amz-Target"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return op(s, body)
}

// operations is everything that is answered; anything else is refused.
var operations = map[string]func(*Server, []byte) (any, error){
	"CreateSecret":             with((*Server).create),
	"DeleteSecret":             with((*Server).remove),
	"DescribeSecret":           with((*Server).describe),
	"GetSecretValue":           with((*Server).value),
	"ListSecrets":              with((*Server).list),
	"PutSecretValue":           with((*Server).put),
	"UpdateSecretVersionStage": with((*Server).updateStage),
}

// with decodes the parameters of an operation. Unknown ones are errors: a client that relies on one would be misled.
func with[In any](op func(*Server, In) (any, error)) func(*Server, []byte) (any, error) {
	return func(s *Server, body []byte) (any, error) {
		var in In
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, refuse("SerializationException", "parameters do not parse, or one of them is not supported here")
		}
		return op(s, in)
	}
}

// commit saves the state with one secret replaced, and only then lets anybody see it. In memory a change costs the same
// whatever else there is: a re-issue makes thousands of secrets.
func (s *Server) commit(changed *secret) error {
	if s.path == "" {
		s.secrets[changed.Name] = changed
		return nil
	}
	next := maps.Clone(s.secrets)
	next[changed.Name] = changed
	return s.replace(next)
}

// replace saves a state, and then lets it be seen.
func (s *Server) replace(next map[string]*secret) error {
	if s.path == "" {
		s.secrets = next
		return nil
	}
	if err := save(s.path, next); err != nil {
		return fmt.Errorf("save secrets: %w", err)
	}
	s.secrets = next
	return nil
}

// lookup returns a copy that may be changed and handed to commit.
func (s *Server) lookup(id string) (*secret, error) {
	if id == "" {
		return nil, refuse("InvalidParameterException", "SecretId is empty")
	}
	found := find(s.secrets, id)
	if found == nil {
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	return found.clone(), nil
}
