package dynamo

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/audit"
)

// hash is the SHA-256, in hex, of nothing in particular.
func hash(of byte) string { return hex.EncodeToString(slices.Repeat([]byte{of}, 32)) }

// thumbprint is one of RFC 7638.
func thumbprint(of byte) string {
	return base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{of}, 32))
}

// renewedAgent has delivery of its certificates, two of them, and all the keys that its record may name.
func renewedAgent() agent.Agent {
	return agent.Agent{
		ID: "acme::settlement-instructions-0001",
		Profile: agent.Profile{
			Capabilities: []string{"payments:read", "ledger:write"},
			Owner:        "payments@example.com",
		},
		Method: agent.Minted,
		Status: agent.Active,
		Pins: []agent.Pin{{
			Thumbprint: hash(1),
			Key:        hash(2),
			Generation: 12,
			NotBefore:  noon,
			NotAfter:   noon,
			Due:        noon,
			JKT:        thumbprint(3),
			Unused:     true,
			Renewed:    noon,
		}, {
			Thumbprint: hash(4),
			Key:        hash(5),
			Generation: 11,
			NotBefore:  noon,
			NotAfter:   noon,
			Due:        noon,
			JKT:        thumbprint(6),
			Dormant:    true,
			Yields:     true,
			Until:      noon,
			Renewed:    noon,
		}},
		SPIFFEID:   "spiffe://mastio.example.com/acme/settlement-instructions-0001",
		JKT:        thumbprint(6),
		Handle:     agent.Handle{1},
		EnrolledAt: noon,
		UpdatedAt:  noon,
		Early:      noon,
		Head:       audit.Head{Seq: 400, Hash: hash(7)},
		Version:    500,
		Past: agent.Past{
			Newest:    noon,
			Known:     []string{hash(1)[:32], hash(2)[:32]},
			Activated: noon,
			Recent:    make([]agent.KeyID, agent.MaxRecent),
			Stored:    20,
		},
		Hygiene: agent.Hygiene{Deliver: agent.SecretsManager, About: hash(1), Undelivered: hash(1)},
	}
}

// A kilobyte is what DynamoDB bills a write by: the record of an agent between two certificates stays below it, also
// when it names as many keys as it can.
func TestRecordOfTwoPinsIsOneKilobyte(t *testing.T) {
	if got := itemSize(encodeAgent(renewedAgent())); got > 1024 {
		t.Errorf("the record has %d octets, want 1,024 at most", got)
	} else {
		t.Logf("%d octets", got)
	}
}

// spelt draws a text that a record may hold as it is, as octets, or as a mark that another attribute has it.
func spelt(t *rapid.T, what string) string {
	return rapid.SampledFrom([]string{"", hash(1), hash(2), hash(1)[:32], hash(2)[:32], strings.ToUpper(hash(0xab)),
		thumbprint(1), thumbprint(2), "dd", "dQ", "abc", "a", "ÿ", strings.Repeat("j", 43)}).Draw(t, what)
}

// Whatever an agent's record holds comes back as it was.
func TestRecordsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := func(what string) string { return spelt(t, what) }
		words := func(what string) (all []string) {
			for range rapid.IntRange(0, 3).Draw(t, "number of "+what) {
				all = append(all, word(what))
			}
			return all
		}
		a := agent.Agent{
			ID:      agent.ID(rapid.SampledFrom([]string{"acme::a", "AGENT#::-"}).Draw(t, "id")),
			JKT:     word("jkt"),
			Past:    agent.Past{Known: words("known"), Ended: words("ended")},
			Suspect: agent.Suspect{Thumbprint: word("suspect")},
			Hygiene: agent.Hygiene{About: word("about"), Undelivered: word("undelivered")},
			Head:    audit.Head{Hash: word("head")},
		}
		for range rapid.IntRange(0, 2).Draw(t, "pins") {
			a.Pins = append(a.Pins, agent.Pin{
				Thumbprint: word("thumbprint"),
				Key:        word("key"),
				JKT:        word("jkt of the pin"),
				Dormant:    rapid.Bool().Draw(t, "dormant"),
				Yields:     rapid.Bool().Draw(t, "yields"),
				Unused:     rapid.Bool().Draw(t, "unused"),
				Until:      rapid.SampledFrom([]time.Time{{}, noon}).Draw(t, "until"),
			})
		}
		if rapid.Bool().Draw(t, "known is the pin's") {
			a.Past.Known = a.Pin().Names()
		}
		got, err := decodeAgent(encodeAgent(a))
		a.Version++
		if diff := cmp.Diff(a, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v; what was stored against what came back:\n%s", err, diff)
		}
	})
}

// spoilt calls with each attribute of an item in turn, of a type that this program does not write; those within maps
// and lists too.
func spoilt(name string, i item, with func(name string)) {
	for attribute, v := range i {
		i[attribute] = &types.AttributeValueMemberNULL{Value: true}
		with(name + attribute)
		i[attribute] = v
		switch v := v.(type) {
		case *types.AttributeValueMemberM:
			spoilt(name+attribute+".", v.Value, with)
		case *types.AttributeValueMemberL:
			for n, element := range v.Value {
				v.Value[n] = &types.AttributeValueMemberNULL{Value: true}
				with(name + attribute + "[]")
				v.Value[n] = element
				if m, ok := element.(*types.AttributeValueMemberM); ok {
					spoilt(name+attribute+"[].", m.Value, with)
				}
			}
		}
	}
}

// No attribute of a wrong type is read as if it were not there: a record of keys or pins that is empty lets in what it
// refuses.
func TestRecordsOfWrongTypesAreRefused(t *testing.T) {
	a := renewedAgent()
	a.DisplayName, a.Suspicion, a.ProofBound = "A", agent.SuspicionContain, true
	a.Bundle, a.Intermediates = [][]byte{{1}}, [][]byte{{2}}
	a.Suspect = agent.Suspect{Thumbprint: hash(8), At: noon}
	a.Past.Floor, a.Past.Ended, a.Past.Lost = noon, []string{hash(9)[:32], "x"}, make([]byte, 6)
	a.Hygiene = agent.Hygiene{
		Deliver:     agent.SecretsManager,
		About:       hash(1),
		Told:        true,
		Undelivered: hash(9),
		Failed:      1,
		Later:       noon,
		Named:       1,
		Job:         noon,
	}
	other := a
	other.Past.Known, other.Hygiene.About, other.Hygiene.Undelivered = []string{hash(9)}, hash(9), hash(9)
	keys := agent.Keys{
		Agent:       a.ID,
		Compromised: make([]agent.KeyID, 1),
		Earlier:     make([]agent.KeyID, 1),
		Staged:      make([]agent.StagedID, 1),
		Renewed:     hash(1),
		Renewals:    []time.Time{noon},
	}
	unread := []string{"sk", "due_pk", "due_sk"} // keys of the table and of an index: nothing follows from them
	for _, c := range []struct {
		i      item
		decode func(item) error
	}{
		{encodeAgent(a), func(i item) error { _, err := decodeAgent(i); return err }},
		{encodeAgent(other), func(i item) error { _, err := decodeAgent(i); return err }},
		{encodeKeys(keys), func(i item) error { _, err := decodeKeys(i); return err }},
	} {
		if err := c.decode(c.i); err != nil {
			t.Fatalf("before it was spoilt: %v", err)
		}
		tried := 0
		spoilt("", c.i, func(name string) {
			tried++
			if err := c.decode(c.i); !slices.Contains(unread, name) && !errors.Is(err, errMalformed) && name != "pk" {
				t.Errorf("%s: got %v, want %v", name, err, errMalformed)
			}
		})
		if tried < 7 {
			t.Errorf("only %d attributes were tried", tried)
		}
	}
	for name, i := range map[string]item{
		"no key":         {},
		"another record": key("ORG", single),
		"no id":          key(agentKey(""), single),
		"half a key":     {"pk": text(agentKey("a")), "recent": blob(make([]byte, 9))},
	} {
		if _, err := decodeAgent(i); !errors.Is(err, errMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, errMalformed)
		}
	}
	if _, err := decodeKeys(item{"staged": blob(make([]byte, 8))}); !errors.Is(err, errMalformed) {
		t.Errorf("half a note: got %v, want %v", err, errMalformed)
	}
}
