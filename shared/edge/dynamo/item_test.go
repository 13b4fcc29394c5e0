package dynamo

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/pki"
	"github.com/mastio-aws/mastio/shared/registry"
)

var noon = time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)

// size is what DynamoDB bills: the octets of names and values, a number being about half its digits, and 3 for a list
// or a map and 1 for each element of it.
func size(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return len(v.Value)/2 + 2
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + size(e)
		}
		return n
	case *types.AttributeValueMemberM:
		return 3 + len(v.Value) + itemSize(v.Value)
	}
	return 1
}

func itemSize(i item) int {
	n := 0
	for name, v := range i {
		n += len(name) + size(v)
	}
	return n
}

func mintedChain(t testing.TB) [][]byte {
	t.Helper()
	rootKey, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	issuingKey, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	p := pki.CAParams{Org: strings.Repeat("o", 40), Generation: 1, Now: noon}
	root, err := pki.NewRoot(p, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := pki.NewIssuing(p, pki.Authority{Chain: []*x509.Certificate{root}, Key: rootKey}, issuingKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{issuing.Raw, root.Raw}
}

func largestPointer(chain ...[]byte) orgca.Pointer {
	return orgca.Pointer{
		Current:     999_999,
		Fingerprint: strings.Repeat("f", 64),
		Accepted:    []orgca.Overlap{{Generation: 999_998, Until: noon}, {Generation: 999_997, Until: noon}},
		Fence:       999_999,
		SigningKey:  "arn:aws:kms:ap-southeast-2:123456789012:key/" + strings.Repeat("k", 36),
		Chain:       chain,
		Legacy:      true,
		NotAfter:    noon,
		RotatedAt:   noon,
		Version:     999_999,
	}
}

// readUnit is what one read unit covers.
const readUnit = 4096

func TestSizes(t *testing.T) {
	rsa4096 := make([]byte, 1500) // of a certificate with a 4096-bit key and signature, and long names
	pins := make([]agent.Pin, 8)
	for n := range pins {
		pins[n] = agent.Pin{
			Thumbprint: strings.Repeat("f", 64),
			Key:        strings.Repeat("f", 64),
			Generation: 999_999,
			NotBefore:  noon,
			NotAfter:   noon,
			Until:      noon,
			Due:        noon,
			JKT:        strings.Repeat("j", 43),
			Dormant:    true,
			Unused:     true,
			Yields:     true,
		}
	}
	a := agent.Agent{
		ID:         agent.ID(strings.Repeat("o", 64) + "::" + strings.Repeat("n", 64)),
		Method:     agent.Minted,
		Status:     agent.Active,
		Pins:       pins,
		SPIFFEID:   strings.Repeat("s", 200),
		JKT:        strings.Repeat("j", 43),
		ProofBound: true,
		Head:       audit.Head{Seq: 1, Hash: strings.Repeat("f", 64)},
		Past: agent.Past{
			Newest: noon,
			Known:  slices.Repeat([]string{strings.Repeat("f", 32)}, 6),
			Floor:  noon,
			Ended:  slices.Repeat([]string{strings.Repeat("f", 32)}, 6),
			Lost:   make([]byte, 60),
			Recent: make([]agent.KeyID, agent.MaxRecent),
		},
		Hygiene: agent.Hygiene{
			Deliver:     agent.SecretsManager,
			About:       strings.Repeat("f", 64),
			Undelivered: strings.Repeat("v", 64),
			Failed:      9,
			Later:       noon,
			Job:         noon,
		},
	}
	for _, c := range []struct {
		name  string
		item  item
		under int
	}{
		{"pointer with a minted chain", encodePointer(largestPointer(mintedChain(t)...), 0), readUnit / 2},
		{"pointer with a chain of RSA-4096", encodePointer(largestPointer(rsa4096, rsa4096), 0), readUnit},
		{"agent with as many pins as it can have", encodeAgent(a), readUnit},
	} {
		got := itemSize(c.item)
		t.Logf("%s: %d octets", c.name, got)
		if got >= c.under {
			t.Errorf("%s: got %d octets, want less than %d", c.name, got, c.under)
		}
	}
}

func TestMalformedItems(t *testing.T) {
	good := encodePointer(largestPointer([]byte{1}), 0)
	for name, bad := range map[string]types.AttributeValue{
		"current": text("1"), "fence": &types.AttributeValueMemberN{Value: "1.5"},
		"version": &types.AttributeValueMemberN{Value: "x"},
		"chain":   &types.AttributeValueMemberL{Value: []types.AttributeValue{text("x")}}, "legacy": number(1),
		"not_after": text("now"),
		"accepted": &types.AttributeValueMemberL{Value: []types.AttributeValue{
			&types.AttributeValueMemberM{Value: item{"until": text("x")}}}},
		"fingerprint": blob([]byte{1}),
	} {
		i := item{}
		for k, v := range good {
			i[k] = v
		}
		if _, err := decodePointer(i); err != nil {
			t.Fatalf("before it was spoilt: %v", err)
		}
		i[name] = bad
		if _, err := decodePointer(i); !errors.Is(err, errMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, errMalformed)
		}
	}
	for _, row := range []item{{"row": number(1)}, {"row": text("{")}, {}} {
		if _, err := decodeRow(row); err == nil {
			t.Errorf("row %v: got no error", row)
		}
	}
}

// Whatever a cursor says, the bounds enclose keys of agents only, and begin behind the one in the cursor.
func FuzzCursor(f *testing.F) {
	f.Add("", int64(0))
	f.Add("MDAwMDAyI21pbnRlZCNhY21lOjphZ2VudC0wMDE", int64(2))
	f.Add("MDAwMDAyI21pbnRlZCNhY21lOjphZ2VudC0wMDE", int64(3))
	f.Add("MDAwMDAyI21pbnRlZCNhY21lOjphZ2VudC0wMDE\n", int64(0))
	f.Add("fn5-fn5-", int64(-1))
	f.Fuzz(func(t *testing.T, cursor string, generation int64) {
		low, high, err := bounds(registry.Query{Cursor: cursor, Generation: generation})
		if err != nil {
			if !errors.Is(err, registry.ErrCursor) {
				t.Errorf("got %v, want %v", err, registry.ErrCursor)
			}
			return
		}
		decoded, _ := base64.RawURLEncoding.DecodeString(cursor)
		if low <= string(decoded) || low > high {
			t.Errorf("got %q to %q, want bounds behind %q", low, high, decoded)
		}
		first := place(agent.Agent{ID: "a", Pins: []agent.Pin{{Generation: generation}}})
		if cursor == "" && generation > 0 && (first < low || first > high) {
			t.Errorf("got %q to %q, which leaves out %q", low, high, first)
		}
	})
}

func BenchmarkDecodeView(b *testing.B) {
	a := encodeAgent(agent.Agent{
		ID:         "acme::agent",
		Profile:    agent.Profile{DisplayName: "Agent", Capabilities: []string{"read", "write"}, Owner: "Team A"},
		Method:     agent.Minted,
		Status:     agent.Active,
		Pins:       []agent.Pin{{Thumbprint: strings.Repeat("f", 64), Generation: 3, NotBefore: noon, NotAfter: noon}},
		EnrolledAt: noon,
		UpdatedAt:  noon,
		Head:       audit.Head{Seq: 4, Hash: strings.Repeat("f", 64)},
		Version:    4,
	})
	p := encodePointer(largestPointer(bytes.Repeat([]byte{1}, 600), bytes.Repeat([]byte{2}, 600)), 0)
	b.ReportAllocs()
	for b.Loop() {
		var v registry.View
		if err := errors.Join(addToView(&v, a), addToView(&v, p)); err != nil {
			b.Fatal(err)
		}
	}
}
