package kms_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/localstack/aws/kms"
)

func wantCode(t *testing.T, what string, err error, want string) {
	t.Helper()
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != want {
		t.Errorf("%s: error = %v; want %s", what, err, want)
	}
}

// request is one of AWS JSON 1.1, right in every respect until a test spoils it.
func request(op, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "TrentService."+op)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local")
	return r
}

func TestProtocol(t *testing.T) {
	server, err := kms.New(kms.Config{})
	if err != nil {
		t.Fatal(err)
	}
	without := func(header string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(header) } }
	for _, v := range []struct {
		name, op, body string
		spoil          func(*http.Request)
		want           string // __type, empty for success
	}{
		{name: "right", op: "ListKeys", body: `{}`},
		{name: "unknown members", op: "ListKeys", body: `{"Novelty":1}`},
		{
			name:  "content type with parameter",
			op:    "ListKeys",
			body:  `{}`,
			spoil: func(r *http.Request) { r.Header.Set("Content-Type", "application/x-amz-json-1.1; charset=utf-8") },
		},
		{
			name:  "no authorization",
			op:    "ListKeys",
			body:  `{}`,
			spoil: without("Authorization"),
			want:  "MissingAuthenticationTokenException",
		},
		{name: "no target", op: "ListKeys", body: `{}`, spoil: without("X-Amz-Target"), want: "UnknownOperationException"},
		{
			name:  "no content type",
			op:    "ListKeys",
			body:  `{}`,
			spoil: without("Content-Type"),
			want:  "UnknownOperationException",
		},
		{name: "operation not built", op: "CreateGrant", body: `{}`, want: "UnknownOperationException"},
		{
			name:  "GET",
			op:    "ListKeys",
			body:  `{}`,
			spoil: func(r *http.Request) { r.Method = http.MethodGet },
			want:  "UnknownOperationException",
		},
		{
			name:  "another path",
			op:    "ListKeys",
			body:  `{}`,
			spoil: func(r *http.Request) { r.URL.Path = "/x" },
			want:  "UnknownOperationException",
		},
		{name: "empty body", op: "ListKeys", want: "SerializationException"},
		{name: "null", op: "ListKeys", body: `null`, want: "SerializationException"},
		{name: "array", op: "ListKeys", body: `[]`, want: "SerializationException"},
		{name: "two objects", op: "ListKeys", body: `{}{}`, want: "SerializationException"},
		{name: "wrong type", op: "ListKeys", body: `{"Limit":"1"}`, want: "SerializationException"},
		{name: "bad base64", op: "Encrypt", body: `{"KeyId":"k","Plaintext":"*"}`, want: "SerializationException"},
		{name: "absurd time", op: "ImportKeyMaterial", body: `{"ValidTo":1e300}`, want: "SerializationException"},
		{
			name: "too large",
			op:   "ListKeys",
			body: `{"Marker":"` + strings.Repeat("a", 300<<10) + `"}`,
			want: "SerializationException",
		},
		{name: "no key", op: "DescribeKey", body: `{}`, want: "ValidationException"},
		{name: "not a key", op: "DescribeKey", body: `{"KeyId":"../../etc/passwd"}`, want: "NotFoundException"},
		{name: "not an ARN", op: "DescribeKey", body: `{"KeyId":"arn:aws:s3:::bucket"}`, want: "InvalidArnException"},
		{
			name: "another region",
			op:   "DescribeKey",
			body: `{"KeyId":"arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-4000-8000-000000000000"}`,
			want: "NotFoundException",
		},
		{
			name: "another account",
			op:   "DescribeKey",
			body: `{"KeyId":"arn:aws:kms:us-east-1:111111111111:key/00000000-0000-4000-8000-000000000000"}`,
			want: "NotFoundException",
		},
		{name: "alias where none is taken", op: "EnableKey", body: `{"KeyId":"alias/a"}`, want: "NotFoundException"},
		{
			name: "spec of AWS, not built",
			op:   "CreateKey",
			body: `{"KeySpec":"ECC_SECG_P256K1","KeyUsage":"SIGN_VERIFY"}`,
			want: "UnsupportedOperationException",
		},
		{
			name: "RSA for encryption",
			op:   "CreateKey",
			body: `{"KeySpec":"RSA_2048","KeyUsage":"ENCRYPT_DECRYPT"}`,
			want: "UnsupportedOperationException",
		},
		{name: "multi-region", op: "CreateKey", body: `{"MultiRegion":true}`, want: "UnsupportedOperationException"},
		{
			name: "policy too long",
			op:   "CreateKey",
			body: `{"Policy":"` + strings.Repeat("a", 33<<10) + `"}`,
			want: "LimitExceededException",
		},
		{name: "policy no JSON", op: "CreateKey", body: `{"Policy":"{"}`, want: "MalformedPolicyDocumentException"},
		{
			name: "reserved alias",
			op:   "CreateAlias",
			body: `{"AliasName":"alias/aws/s3","TargetKeyId":"k"}`,
			want: "InvalidAliasNameException",
		},
		{name: "marker of another list", op: "ListAliases", body: `{"Marker":"a2V5czp4"}`, want: "InvalidMarkerException"},
	} {
		t.Run(v.name, func(t *testing.T) {
			r := request(v.op, v.body)
			if v.spoil != nil {
				v.spoil(r)
			}
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			if got := faultType(t, w); got != v.want {
				t.Errorf("answer = %d %s; want type %q", w.Code, w.Body, v.want)
			}
		})
	}
}

// faultType checks that an answer is well formed, and returns the type of its error.
func faultType(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/x-amz-json-1.1" {
		t.Errorf("Content-Type = %q", got)
	}
	if w.Header().Get("X-Amzn-Requestid") == "" {
		t.Error("no request id")
	}
	body := w.Body.Bytes()
	var fault struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if w.Code == http.StatusOK {
		if len(body) != 0 && !json.Valid(body) {
			t.Errorf("body is not JSON: %q", body)
		}
		return ""
	}
	if err := json.Unmarshal(body, &fault); err != nil || fault.Type == "" || fault.Message == "" {
		t.Errorf("error body %q: %v", body, err)
	}
	if want := http.StatusBadRequest; w.Code != want {
		t.Errorf("status of %s = %d; want %d", fault.Type, w.Code, want)
	}
	return fault.Type
}

func TestCallsAndFaults(t *testing.T) {
	var mu sync.Mutex
	faults := map[string]error{}
	inject := func(op string) error {
		mu.Lock()
		defer mu.Unlock()
		return faults[op]
	}
	server, client := start(t, kms.Config{Before: inject})
	faults["Sign"] = &kms.Fault{Code: "ThrottlingException", Message: "Rate exceeded"}
	faults["Encrypt"] = errors.New("the disk at /secret/path is full")
	id := createKey(t, client, &awskms.CreateKeyInput{})
	wantCode(t, "Sign", sign(t, client, id), "ThrottlingException")
	_, err := client.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: &id, Plaintext: []byte("m")})
	wantErr[*types.KMSInternalException](t, "Encrypt", err)
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the answer tells the cause: %v", err)
	}
	want := map[string]int64{"CreateKey": 1, "Sign": 1, "Encrypt": 1}
	if diff := cmp.Diff(want, server.Calls()); diff != "" {
		t.Errorf("Calls (-want +got):\n%s", diff)
	}
}

// An After hook loses the answer, not the effect.
func TestLostAnswer(t *testing.T) {
	lose := func(op string) error {
		if op == "DisableKey" {
			return &kms.Fault{Code: "KMSInternalException", Message: "lost", Status: http.StatusInternalServerError}
		}
		return nil
	}
	_, client := start(t, kms.Config{After: lose})
	id := createKey(t, client, &awskms.CreateKeyInput{})
	_, err := client.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: &id})
	wantErr[*types.KMSInternalException](t, "DisableKey", err)
	if got := stateOf(t, client, id); got != types.KeyStateDisabled {
		t.Errorf("state = %s; want Disabled", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []kms.Config{{Account: "12"}, {Account: "1234567890ab"}, {Region: "us east"}, {Region: "a:b"}} {
		if _, err := kms.New(cfg); err == nil {
			t.Errorf("New(%+v) succeeded", cfg)
		}
	}
}

// TestSymmetricImportTypes covers the members of ImportKeyMaterial that only symmetric keys have.
func TestSymmetricImportTypes(t *testing.T) {
	_, client := start(t, kms.Config{})
	id := createKey(t, client, &awskms.CreateKeyInput{Origin: types.OriginTypeExternal})
	secret := []byte("0123456789abcdef0123456789abcdef")
	deliver := func(kind types.ImportType, material *string) error {
		in := importInput(id, wrapFor(t, client, id, secret))
		in.ImportType, in.KeyMaterialId = kind, material
		_, err := client.ImportKeyMaterial(t.Context(), in)
		return err
	}
	wantErr[*types.IncorrectKeyMaterialException](t, "import EXISTING first",
		deliver(types.ImportTypeExistingKeyMaterial, nil))
	if err := deliver(types.ImportTypeNewKeyMaterial, nil); err != nil {
		t.Fatal(err)
	}
	wantErr[*types.UnsupportedOperationException](t, "import NEW twice", deliver(types.ImportTypeNewKeyMaterial, nil))
	wantErr[*types.IncorrectKeyMaterialException](t, "import under another id",
		deliver("", aws.String(strings.Repeat("0", 64))))
	wantCode(t, "import of an unknown type", deliver("OLD", nil), "ValidationException")
	if err := deliver(types.ImportTypeExistingKeyMaterial, nil); err != nil {
		t.Errorf("import EXISTING again = %v", err)
	}
}

// FuzzRequest sends anything as any operation: the answer is always well formed, and never the server's fault.
func FuzzRequest(f *testing.F) {
	server, err := kms.New(kms.Config{})
	if err != nil {
		f.Fatal(err)
	}
	ids := map[string]string{}
	for name, body := range map[string]string{
		"signing":   `{"KeySpec":"ECC_NIST_P256","KeyUsage":"SIGN_VERIFY"}`,
		"symmetric": `{}`,
		"external":  `{"KeySpec":"ECC_NIST_P256","KeyUsage":"SIGN_VERIFY","Origin":"EXTERNAL"}`,
	} {
		ids[name] = made(f, server, body)
	}
	for _, seed := range []struct{ op, body string }{
		{"CreateKey",
			`{"KeySpec":"ECC_NIST_P384","KeyUsage":"SIGN_VERIFY","Tags":[{"TagKey":"a","TagValue":"b"}],"Policy":"{}"}`},
		{"Sign", `{"KeyId":"` + ids["signing"] + `","Message":"bQ==","SigningAlgorithm":"ECDSA_SHA_256"}`},
		{"Sign", `{"KeyId":"` + ids["external"] +
			`","Message":"bQ==","MessageType":"DIGEST","SigningAlgorithm":"ECDSA_SHA_256","DryRun":true}`},
		{"Verify", `{"KeyId":"` + ids["signing"] +
			`","Message":"bQ==","Signature":"MAYCAQECAQE=","SigningAlgorithm":"ECDSA_SHA_256"}`},
		{"GetPublicKey", `{"KeyId":"` + ids["signing"] + `"}`},
		{"DescribeKey", `{"KeyId":"arn:aws:kms:us-east-1:000000000000:key/` + ids["symmetric"] + `"}`},
		{"Encrypt", `{"KeyId":"` + ids["symmetric"] + `","Plaintext":"bQ==","EncryptionContext":{"a":"b"}}`},
		{"Decrypt", `{"CiphertextBlob":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`},
		{"GenerateDataKey", `{"KeyId":"` + ids["symmetric"] + `","NumberOfBytes":64}`},
		{"GenerateDataKeyPairWithoutPlaintext", `{"KeyId":"` + ids["symmetric"] + `","KeyPairSpec":"ECC_NIST_P256"}`},
		{"EnableKey", `{"KeyId":"` + ids["signing"] + `"}`},
		{"DisableKey", `{"KeyId":"nobody"}`},
		{"ScheduleKeyDeletion", `{"KeyId":"` + ids["external"] + `","PendingWindowInDays":7}`},
		{"CancelKeyDeletion", `{"KeyId":"` + ids["external"] + `"}`},
		{"GetParametersForImport", `{"KeyId":"` + ids["external"] +
			`","WrappingAlgorithm":"RSA_AES_KEY_WRAP_SHA_256","WrappingKeySpec":"SM2"}`},
		{"ImportKeyMaterial", `{"KeyId":"` + ids["external"] +
			`","EncryptedKeyMaterial":"AA==","ImportToken":"AA==","ExpirationModel":"KEY_MATERIAL_EXPIRES","ValidTo":4e9}`},
		{"DeleteImportedKeyMaterial", `{"KeyId":"` + ids["external"] + `"}`},
		{"TagResource", `{"KeyId":"` + ids["signing"] + `","Tags":[{"TagKey":"k"},null]}`},
		{"UntagResource", `{"KeyId":"` + ids["signing"] + `","TagKeys":["k",null]}`},
		{"ListResourceTags", `{"KeyId":"` + ids["signing"] + `","Limit":1,"Marker":"dGFnczph"}`},
		{"ListKeys", `{"Limit":-1}`},
		{"CreateAlias", `{"AliasName":"alias/a","TargetKeyId":"` + ids["signing"] + `"}`},
		{"ListAliases", `{"KeyId":"alias/a"}`},
		{"DeleteAlias", `{"AliasName":"alias/a"}`},
		{"Nonsense", `{`},
	} {
		f.Add(seed.op, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, op string, body []byte) {
		if strings.Contains(string(body), "RSA_") && op != "ImportKeyMaterial" {
			t.Skip("making RSA keys would leave no time for anything else")
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, request(op, string(body)))
		faultType(t, w)
	})
}

// made creates a key without an SDK and returns its id.
func made(f *testing.F, server http.Handler, body string) string {
	f.Helper()
	w := httptest.NewRecorder()
	server.ServeHTTP(w, request("CreateKey", body))
	raw, err := io.ReadAll(w.Body)
	if err != nil {
		f.Fatal(err)
	}
	var out awskms.CreateKeyOutput
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(raw), "CreationDate", "Ignored")), &out); err != nil {
		f.Fatal(err)
	}
	return aws.ToString(out.KeyMetadata.KeyId)
}
