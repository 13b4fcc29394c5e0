package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastio-aws/mastio/shared/cmd/mastio/api"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/identity"
	"github.com/mastio-aws/mastio/shared/cmd/mastio/screen"
)

const tokenPath = "/v1/auth/token" //nolint:gosec // a path

func (a *app) token() *cobra.Command {
	var bearer bool
	cmd := &cobra.Command{
		Use:   "token DIR",
		Short: "Get one token as an agent, and show what is in it",
		Long: "token tries an agent's files: it asks the agents' host for a token with the certificate in DIR, with a\n" +
			"DPoP proof if there is a dpop.jwk, and shows the token's claims. It takes no admin secret.",
		Example: "  mastio token ./kyc\n  mastio token ./kyc -o json | jq .claims.cnf\n" +
			"  mastio token ./kyc --bearer -o name   # the token alone",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.tryToken(cmd.Context(), args[0], bearer) },
	}
	cmd.Flags().BoolVar(&bearer, "bearer", false, "send no DPoP proof")
	return cmd
}

func (a *app) tryToken(ctx context.Context, dir string, bearer bool) error {
	p, err := a.Resolve(a.env)
	if err != nil {
		return err
	}
	pair, err := identity.Folder{Dir: dir}.Pair()
	if err != nil {
		return err
	}
	if p.AgentsURL == "" {
		if a.client, err = a.connect(p, p.URL, ""); err != nil {
			return err
		}
		if p.AgentsURL, err = a.agentsURL(ctx, p); err != nil {
			return err
		}
	}
	if a.client, err = a.connect(p, p.AgentsURL, "", pair); err != nil {
		return err
	}
	var key *ecdsa.PrivateKey
	var public json.RawMessage
	text, err := os.ReadFile(filepath.Join(dir, identity.ProofFile)) //nolint:gosec // in the folder that was named
	switch {
	case bearer || errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if key, public, err = identity.ProofKey(text); err != nil {
			return fmt.Errorf("%s: %w", identity.ProofFile, err)
		}
	}
	answer, err := a.askToken(ctx, p.AgentsURL, key, public, "")
	if err != nil {
		return err
	}
	return a.printToken(answer)
}

// askToken asks for a token, once more if the proof needs a nonce.
func (a *app) askToken(ctx context.Context, base string, key *ecdsa.PrivateKey, public json.RawMessage,
	nonce string) (api.Answer, error) {
	r := api.Request{Method: http.MethodPost, Path: tokenPath}
	if key != nil {
		proof, err := a.proof(key, public, strings.TrimSuffix(base, "/")+tokenPath, nonce)
		if err != nil {
			return api.Answer{}, err
		}
		r.Header = map[string]string{"DPoP": proof}
	}
	answer, err := a.do(ctx, r, false)
	var no *api.RefusedError
	if given := answer.Header.Get("DPoP-Nonce"); errors.As(err, &no) && no.Code == "use_dpop_nonce" && given != nonce {
		return a.askToken(ctx, base, key, public, given)
	}
	return answer, err
}

// proof makes a DPoP proof (RFC 9449 section 4.2).
func (a *app) proof(key *ecdsa.PrivateKey, public json.RawMessage, target, nonce string) (string, error) {
	head, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": public})
	if err != nil {
		return "", err
	}
	claims := map[string]any{"htm": http.MethodPost, "htu": target, "iat": a.now().Unix(), "jti": rand.Text()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (a *app) printToken(answer api.Answer) error {
	var out struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
	}
	if err := decode(answer, &out); err != nil {
		return err
	}
	parts := strings.Split(out.Token, ".")
	if len(parts) != 3 {
		return &api.RefusedError{Status: answer.Status, Detail: "The token is no JWT."}
	}
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return err
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	rows, err := members(claims)
	if err != nil {
		return err
	}
	whole := map[string]json.RawMessage{"answer": answer.Body, "header": head, "claims": claims}
	return a.screen().Write(screen.Result{
		Table: screen.Table{
			Rows: append([][]string{{"token type", out.Type}, {"header", string(bytes.TrimSpace(head))}}, rows...),
			Note: "The signature was not verified here: a resource server does that with the keys of the Mastio.",
		},
		Whole: whole,
		Names: []string{out.Token},
	})
}
