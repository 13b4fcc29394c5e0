package mastio

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

func each(t *testing.T, f func(t *testing.T, d *deployment)) {
	t.Helper()
	for name, d := range map[string]*deployment{"hardened": &hardened, "traced": &traced, "trying": &trying,
		"local": &local} {
		t.Run(name, func(t *testing.T) { f(t, d) })
	}
}

// wide are the statements that name more than one thing at a time, and why nothing narrower is possible.
var wide = map[string]string{
	"MakeOrgCAKeys": "a key that is not there yet has no ARN; its tags and, by denials, its spec and usage " +
		"are prescribed",
	"MakeNoOtherSpec":          "a denial, which is meant to be as wide as can be",
	"MakeNoOtherUsage":         "a denial, which is meant to be as wide as can be",
	"TagNoForeignOrganisation": "a denial, which is meant to be as wide as can be",
	"LetKeysGoSlowly":          "a denial, which is meant to be as wide as can be",
	"FindOrphans":              "ListKeys knows no resource, and tells ids only",
	"Trace":                    "X-Ray knows no resource; nothing can be read with it",
	"ListStreams":              "ListStreams knows no resource, and tells names only; Lambda asks for it",
	"UseOrgCAKeys":             "the application makes the keys; it reaches those with the organisation's tag",
	"SignWithOrgCA": "the application makes the keys; it reaches those with the organisation's tag, and " +
		"these specs and algorithms",
	"NoteOnKeys": "the application makes the keys; it reaches those with the organisation's tag, and one " +
		"tag of them",
	"ReadNotesOnKeys":   "the application makes the keys; it reads the tags of those with the organisation's tag",
	"DescribeOrgCAKeys": "the application makes the keys; it reads the state of those with the organisation's tag",
	"ReadArchive":       "a checkpoint's name is its number; the bucket holds nothing else",
	"DeliverToAgents": "an agent's secret is made with its first delivery; its name begins as those of the " +
		"agents of the organisation, and of nothing else",
	"ReadNamedAdmins": "operators make the secrets of named admins; their names begin as those of the " +
		"organisation's, and of nothing else",
	"WriteArchive": "a checkpoint's name is its number; object lock keeps what is there",
}

func TestLeastPrivilege(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		for _, s := range d.policies(t) {
			who := s.function + "/" + s.sid
			if s.raw["NotAction"] != nil || s.raw["NotResource"] != nil || s.raw["Principal"] != nil {
				t.Errorf("%s: a statement that says what is not meant", who)
			}
			if s.function != "" && s.sid == "" {
				t.Errorf("%v has no Sid", s.actions)
			}
			for _, a := range s.actions {
				if strings.ContainsAny(a, "*?") {
					t.Errorf("%s allows %s: name the actions", who, a)
				}
			}
			for _, r := range s.resources {
				if _, ok := wide[s.sid]; s.function != "" && strings.Contains(r, "*") && !ok {
					t.Errorf("%s reaches %s and is not in the list of those that may be that wide", who, r)
				}
				if s.function == "" && r == "*" {
					t.Errorf("a role of another service reaches everything: %v", s.actions)
				}
				if strings.HasSuffix(r, ":key/*") && at(s.conditions, "StringEquals", "aws:ResourceTag/mastio:org") != "acme" {
					t.Errorf("%s reaches keys that are not the organisation's", who)
				}
			}
		}
	})
}

// minting are the calls that make, tag, fill or end keys. minters are the functions that may.
var (
	minting = regexp.MustCompile(`^kms:(CreateKey|TagResource|UntagResource|ScheduleKeyDeletion|DisableKey|GetParametersForImport|ImportKeyMaterial)$`)
	minters = []string{"rotateca", "standby"}
	// unneeded are actions that no function needs.
	unneeded = regexp.MustCompile(`^(kms:(EnableKey|CancelKeyDeletion|PutKeyPolicy|CreateGrant|DeleteImportedKeyMaterial|ReplicateKey|UpdateKeyDescription)|dynamodb:(Scan|DeleteTable|UpdateTable|RestoreTable.*|PartiQL.*)|iam:.*|lambda:Update.*|s3:Delete.*)$`)
)

func TestKeysAreMintedByTheFewThatMay(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		var found []string
		for _, s := range d.policies(t) {
			if s.effect == "Deny" {
				continue
			}
			for _, a := range s.actions {
				if minting.MatchString(a) {
					found = append(found, s.function)
				}
				// AWS Backup grants the key to itself, for backups and nothing else.
				grants := a == "kms:CreateGrant" && s.function == "" &&
					at(s.conditions, "Bool", "kms:GrantIsForAWSResource") == "true"
				if unneeded.MatchString(a) && !grants {
					t.Errorf("%s/%s allows %s, which no function needs", s.function, s.sid, a)
				}
				if strings.HasPrefix(a, "secretsmanager:") && a != "secretsmanager:GetSecretValue" &&
					(s.function != "hygiene" || !strings.HasSuffix(s.resources[0], ":secret:mastio/agents/acme/*")) {
					t.Errorf("%s/%s allows %s: only hygiene writes secrets, and agents' alone", s.function, s.sid, a)
				}
				if a == "kms:CreateKey" && at(s.conditions, "StringEquals", "aws:RequestTag/mastio:org") != "acme" {
					t.Errorf("%s makes keys without the organisation's tag", s.function)
				}
			}
		}
		slices.Sort(found)
		if diff := cmp.Diff(minters, slices.Compact(found)); diff != "" {
			t.Errorf("who mints keys (-want +got):\n%s", diff)
		}
	})
}

// Each minter is denied other specs and usages, and a short way to a key's end.
func TestMintersAreHeldBack(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		for _, function := range minters {
			var denials []string
			for _, s := range d.policies(t) {
				if s.function == function && s.effect == "Deny" {
					denials = append(denials, s.sid)
				}
			}
			slices.Sort(denials)
			if diff := cmp.Diff([]string{"LetKeysGoSlowly", "MakeNoOtherSpec", "MakeNoOtherUsage", "TagNoForeignOrganisation"},
				denials); diff != "" {
				t.Errorf("%s (-want +got):\n%s", function, diff)
			}
		}
	})
}

func TestSigningIsNarrow(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		signers := 0
		for _, s := range d.policies(t) {
			if !slices.Contains(s.actions, "kms:Sign") {
				continue
			}
			signers++
			algorithm := at(s.conditions, "StringEquals", "kms:SigningAlgorithm")
			if algorithm == nil {
				algorithm = at(s.conditions, "StringEqualsIfExists", "kms:SigningAlgorithm") // next to GetPublicKey, which has none
			}
			if algorithm == nil {
				t.Errorf("%s/%s signs with any algorithm", s.function, s.sid)
			}
			if strings.HasSuffix(s.resources[0], "key/*") && at(s.conditions, "StringEquals", "kms:KeySpec") == nil {
				t.Errorf("%s/%s signs with a key of any spec", s.function, s.sid)
			}
		}
		if signers < 4 {
			t.Errorf("%d statements allow to sign: the search is broken", signers)
		}
	})
}

// Rows are put, in the transaction of the change that they record, and never changed or removed.
func TestAuditIsAppendOnly(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		writers := 0
		for _, s := range d.policies(t) {
			onAudit := slices.ContainsFunc(s.resources, func(r string) bool { return strings.Contains(r, "Table"+schema.Audit) })
			if !onAudit || s.function == "" {
				continue
			}
			for _, a := range s.actions {
				switch a {
				case "dynamodb:PutItem":
					writers++
					if at(s.conditions, "StringEquals", "dynamodb:EnclosingOperation") != "TransactWriteItems" {
						t.Errorf("%s/%s puts rows outside of transactions", s.function, s.sid)
					}
				case "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:GetItem",
					"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:CreateBackup":
				default:
					t.Errorf("%s/%s allows %s on the audit table", s.function, s.sid, a)
				}
			}
		}
		if writers < 4 {
			t.Errorf("%d statements put rows: the search is broken", writers)
		}
	})
}

// sealer appends to the organisation's audit chain: it moves the head, and none of the organisation's other records.
const sealer = "checkpoint"

// A function that has no business with the organisation's records cannot move the pointer, whatever its code does.
func TestOnlyTheFewWriteTheOrganisation(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		for _, s := range d.policies(t) {
			writes := slices.ContainsFunc(s.actions, func(a string) bool {
				return a == "dynamodb:PutItem" || a == "dynamodb:UpdateItem" || a == "dynamodb:DeleteItem"
			})
			onRegistry := slices.ContainsFunc(s.resources,
				func(r string) bool { return strings.Contains(r, "Table"+schema.Registry) })
			if !writes || !onRegistry || s.function == "" {
				continue
			}
			leading := texts(at(s.conditions, "ForAllValues:StringLike", "dynamodb:LeadingKeys"))
			if len(leading) == 0 || at(s.conditions, "Null", "dynamodb:LeadingKeys") != "false" ||
				slices.Contains(leading, "*") {
				t.Errorf("%s/%s writes any record of the registry", s.function, s.sid)
			}
			if slices.Contains(leading, orgRecord) && !slices.Contains(minters, s.function) {
				t.Errorf("%s/%s writes the organisation's records", s.function, s.sid)
			}
			if slices.Contains(leading, fleetRecord) && !slices.Contains(append([]string{"hygiene"}, minters...), s.function) {
				t.Errorf("%s/%s writes how far the fleet has come", s.function, s.sid)
			}
			if slices.Contains(leading, headRecord) && !slices.Contains(append([]string{sealer}, minters...), s.function) {
				t.Errorf("%s/%s moves the end of the organisation's chain", s.function, s.sid)
			}
		}
	})
}

// Nothing but its own role, with nothing in it but its own policy.
func TestOneRolePerFunction(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		role := map[string]string{}
		for _, f := range d.all("AWS::Lambda::Function") {
			name := d.functionName(f.id)
			if !slices.Contains(routes.Functions(), name) {
				continue // the CDK's own, which runs the triggers
			}
			id := fmt.Sprint(at(f.Properties, "Role", "Fn::GetAtt", 0))
			if other, taken := role[id]; taken {
				t.Errorf("%s and %s share a role", name, other)
			}
			role[id] = name
			if r := d.resources["Mastio/"+id]; r.Properties["ManagedPolicyArns"] != nil || r.Properties["Policies"] != nil {
				t.Errorf("%s has more than its own policy", name)
			}
		}
		if len(role) != len(routes.Functions()) {
			t.Errorf("%d roles for %d functions", len(role), len(routes.Functions()))
		}
		for kind, most := range map[string]int{"AWS::IAM::Policy": 10_240, "AWS::IAM::ManagedPolicy": 6_144} {
			for _, p := range d.all(kind) {
				b, err := json.Marshal(p.Properties["PolicyDocument"])
				if err != nil || len(b) > most {
					t.Errorf("%s has %d characters, %v; IAM takes %d", p.id, len(b), err, most)
				}
			}
		}
	})
}

// The table of who may do what, as it is reviewed: infra/permissions.md.
func TestPermissionsAreWrittenDown(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Who may do what\n\nWritten by `make infra-golden` from the template that everything is switched on " +
		"in. `acme` is the organisation.\n")
	for _, function := range routes.Functions() {
		fmt.Fprintf(&b, "\n## %s\n\n| statement | may | on | only if |\n|---|---|---|---|\n", function)
		for _, s := range traced.policies(t) {
			if s.function != function {
				continue
			}
			sid := s.sid
			if s.effect == "Deny" {
				sid += " (**denied**)"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", sid, strings.Join(s.actions, ", "),
				strings.Join(short(s.resources), ", "), spellConditions(s.conditions))
		}
	}
	golden(t, filepath.Join("..", "permissions.md"), b.String())
}

var (
	exported = regexp.MustCompile(`\$\{mastio-acme-data:(?:Exports|Publish)Output(?:FnGetAtt|Ref)Data([A-Za-z]+?)[0-9A-F]{8}[A-Za-z0-9]*\}`)
	hashed   = regexp.MustCompile(`\$\{(?:Service)?([A-Za-z]+?)[0-9A-F]{8}\}`)
)

// short names what the templates refer to by logical ids.
func short(resources []string) []string {
	var all []string
	for _, r := range resources {
		r = exported.ReplaceAllString(r, "$1")
		all = append(all, strings.ReplaceAll(hashed.ReplaceAllString(r, "$1"), "|", "\\|"))
	}
	return all
}

func spellConditions(c map[string]any) string {
	var all []string
	for _, operator := range sortedKeys(c) {
		m, _ := c[operator].(map[string]any)
		for _, key := range sortedKeys(m) {
			all = append(all, fmt.Sprintf("%s %s %s", key, operator, strings.Join(texts(m[key]), ", ")))
		}
	}
	return strings.Join(all, "; ")
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; make infra-golden writes it", err)
	}
	before, after := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("- %s", line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("+ %s", line)
		}
	}
	if string(want) != got {
		t.Errorf("%s is not what is deployed: look at the lines above, then make infra-golden", path)
	}
}
