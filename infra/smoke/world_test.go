package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// account answers for an account by what was recorded of each operation, and notes what it was asked.
type account struct {
	answers map[string]func(body string) (status int, answer string)

	mu    sync.Mutex
	asked []string
}

func always(status int, answer string) func(string) (int, string) {
	return func(string) (int, string) { return status, answer }
}

// times refuses the first calls.
func times(n int, kind string, then func(string) (int, string)) func(string) (int, string) {
	return func(body string) (int, string) {
		if n--; n >= 0 {
			return 400, `{"__type":"` + kind + `","message":"not yet"}`
		}
		return then(body)
	}
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if form, err := url.ParseQuery(string(body)); op == "" && err == nil {
		op = form.Get("Action")
	}
	if _, name, ok := strings.Cut(r.URL.Path, "/operation/"); ok { // CloudWatch's protocol
		op = name
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, op)
	do, ok := a.answers[op]
	if !ok {
		do = always(400, `{"__type":"NotRecorded","message":"`+op+`"}`)
	}
	status, text := do(string(body))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func query(op, result string) string {
	return fmt.Sprintf("<%s><%[2]s>%[3]s</%[2]s></%[1]s>", op+"Response", op+"Result", result)
}

func stacks(t *testing.T, agents, operators string, orgs ...string) string {
	t.Helper()
	member := func(name string, outputs ...string) string {
		s := "<member><StackName>" + name +
			"</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>"
		for i := 0; i < len(outputs); i += 2 {
			s += "<member><OutputKey>" + outputs[i] + "</OutputKey><OutputValue>" + outputs[i+1] + "</OutputValue></member>"
		}
		return s + "</Outputs></member>"
	}
	all := member("CDKToolkit")
	for _, org := range orgs {
		all += member("mastio-"+org+"-service", "ServiceAgentsURL1", agents, "ServiceOperatorsURL2", operators,
			"ServiceAgentsTargetName3", "d-1.execute-api") +
			member("mastio-"+org+"-data", "DataAdminSecretArn4", "the-secret")
	}
	return query("DescribeStacks", "<Stacks>"+all+"</Stacks>")
}

// elsewhere names a server of this machine otherwise: the agents' host has a name of its own.
func elsewhere(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) }

// recorded is an account in which everything works.
func recorded(t *testing.T, mastio string) *account {
	role := `<Role><Path>/</Path><RoleName>r</RoleName><RoleId>i</RoleId><Arn>arn:aws:iam::111111111111:role/r</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>`
	history, now := cbor.Map{}, cbor.Map{"HistoryItemType": cbor.String("Action"),
		"HistorySummary": cbor.String("Successfully executed action arn:aws:sns:x")}
	history["AlarmHistoryItems"] = cbor.List{now}
	return &account{answers: map[string]func(string) (int, string){
		"DescribeStacks":    always(200, stacks(t, elsewhere(mastio), mastio, "acme")),
		"GetSecretValue":    always(200, `{"SecretString":"s3cret"}`),
		"GetCallerIdentity": always(200, query("GetCallerIdentity", "<Account>111111111111</Account>")),
		"CreateTable":       always(200, `{}`),
		"DescribeTable":     always(200, `{"Table":{"TableStatus":"ACTIVE"}}`),
		"DeleteTable":       always(200, `{}`),
		"CreateRole":        always(200, query("CreateRole", role)),
		"PutRolePolicy":     always(200, `<PutRolePolicyResponse/>`),
		"DeleteRolePolicy":  always(200, `<DeleteRolePolicyResponse/>`),
		"DeleteRole":        always(200, `<DeleteRoleResponse/>`),
		"AssumeRole": always(200,
			query("AssumeRole",
				"<Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"+
					"<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>")),
		"TransactWriteItems": times(1, "AccessDeniedException", always(200, `{}`)),
		"CreateKey": always(200,
			`{"KeyMetadata":{"KeyId":"k","Arn":"arn:aws:kms:eu-central-1:111111111111:key/k"}}`),
		"GetPublicKey":           times(2, "NotFoundException", always(200, `{}`)),
		"Sign":                   always(200, `{}`),
		"GetParametersForImport": times(1, "KMSInvalidStateException", always(200, `{}`)),
		"ScheduleKeyDeletion":    always(200, `{}`),
		"FilterLogEvents": func(body string) (int, string) {
			if strings.Contains(body, "/access/") {
				return 200, events(accessLine)
			}
			return 200, events(tokenLine)
		},
		"SetAlarmState":        always(200, string(cbor.Encode(cbor.Map{}))),
		"DescribeAlarmHistory": always(200, string(cbor.Encode(history))),
	}}
}

// Lines as a token request leaves them.
const (
	tokenLine  = `{"timestamp":"2026-11-24T03:00:00.000Z","level":"INFO","msg":"request","status":200}`
	accessLine = `{"request_id":"r","source":"203.0.113.177","route":"POST /v1/auth/token","status":"200","error":"- -"}`
)

// events is what FilterLogEvents answers with these lines.
func events(lines ...string) string {
	all := []map[string]any{}
	for _, l := range lines {
		all = append(all, map[string]any{"message": l, "timestamp": 1})
	}
	b, err := json.Marshal(map[string]any{"events": all})
	if err != nil {
		panic(err) // texts always have a JSON form
	}
	return string(b)
}

// mastio answers as a deployed one does in the course of the guide. deaf are paths that answer 500.
type mastio struct {
	t       *testing.T
	deaf    string
	renamed bool   // the challenge's header has API Gateway's name
	twice   bool   // paths are decoded twice
	hosts   string // which API's paths the agents' host has, in addition to its own
	current []byte // the certificate that counts
}

func (m *mastio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(status int, mediaType, body string) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	const j, page = "application/json", "text/html"
	path := r.Method + " " + r.URL.Path
	admin := r.Header.Get("X-Admin-Secret") == "s3cret"
	switch {
	case m.deaf != "" && strings.HasPrefix(path, m.deaf):
		say(500, j, `{"detail":"broken on purpose"}`)
	case path == "GET /proxy":
		http.Redirect(w, r, "/proxy/login", http.StatusSeeOther)
	case path == "GET /proxy/login":
		say(200, page, `<link rel="stylesheet" href="/proxy/assets/app.css"><input name="secret">`)
	case strings.HasPrefix(path, "GET /.well-known/"), path == "GET /pki/ca.crt", path == "GET /proxy/assets/app.css":
		say(200, j, `{}`)
	case path == "POST /v1/auth/token":
		switch {
		case len(r.Header["Dpop"]) > 1:
			say(400, j, `{"error":"invalid_dpop_proof"}`)
		case len(r.TLS.PeerCertificates) == 1 && bytes.Equal(r.TLS.PeerCertificates[0].Raw, m.current):
			say(200, j, `{"access_token":"t"}`)
		default:
			say(401, j, `{"error":"invalid_client","error_description":"Certificate has been revoked"}`)
		}
	case path == "POST /v1/auth/%74oken" && m.twice:
		say(200, j, `{"access_token":"t"}`)
	case path == "PUT /pki/rotate-ca" && m.hosts == "operators":
		say(405, j, `{}`)
	case path == "POST /v1/auth/%74oken", path == "PUT /pki/rotate-ca":
		say(404, "application/problem+json", `{}`)
	case path == "GET /v1/agent/me":
		if name := challengeHeader; m.renamed {
			w.Header().Set(renamedChallenge, `DPoP algs="ES256", Bearer`)
		} else {
			w.Header().Set(name, `DPoP algs="ES256", Bearer`)
		}
		say(401, j, `{}`)
	case strings.HasSuffix(path, "/of/the/kind"):
		say(404, "application/problem+json", `{}`)
	case !admin:
		say(401, j, `{}`)
	case path == "GET /healthz":
		say(200, j, `{"version":"v1","warnings":[]}`)
	case path == "POST /v1/admin/agents":
		say(201, j, m.issue("acme::smoke"))
	case strings.HasSuffix(path, "/rotate-cert"):
		say(200, j, m.issue(""))
	case strings.HasPrefix(path, "GET /v1/admin/audit/export"):
		say(200, "application/x-ndjson", `{"event":"agent.cert_rotated"}`)
	case path == "GET /pki/rotate-ca":
		say(200, j, `{"truststore":{"status":"current"},"staged":{"fingerprint":"f"}}`)
	case path == "POST /pki/rotate-ca":
		say(200, j, `{}`)
	case strings.HasPrefix(path, "DELETE /v1/admin/agents/acme::smoke"):
		say(204, j, "")
	default:
		say(404, j, path)
	}
}

// issue makes a certificate, which is the one that counts from now on.
func (m *mastio) issue(id string) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "a"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	m.current, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		m.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		m.t.Fatal(err)
	}
	b, err := json.Marshal(material{id, string(pem.EncodeToMemory(&pem.Block{
		Type:  "CERTIFICATE",
		Bytes: m.current,
	})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

func serveMastio(t *testing.T, m *mastio) string {
	server := httptest.NewUnstartedServer(m)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// smoke runs the command against an account.
func smoke(t *testing.T, a *account, args ...string) (status int, out string) {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_PROFILE": "", "AWS_CA_BUNDLE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	var b, failed strings.Builder
	status = run(t.Context(), append([]string{"-insecure"}, args...), &b, &failed)
	return status, b.String() + failed.String()
}
