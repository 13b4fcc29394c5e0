package mastio

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a deployment must not lose stays when it goes, and when a template would replace it.
func TestNothingThatLosesTheCAIsDeleted(t *testing.T) {
	lasting := []string{"AWS::DynamoDB::GlobalTable", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SecretsManager::Secret",
		"AWS::Backup::BackupVault"}
	each(t, func(t *testing.T, d *deployment) {
		found := 0
		for _, kind := range lasting {
			for _, r := range d.all(kind) {
				found++
				if r.DeletionPolicy != "RetainExceptOnCreate" || r.UpdateReplacePolicy != "Retain" {
					t.Errorf("%s: deletion %q, replacement %q; want both retained", r.id, r.DeletionPolicy, r.UpdateReplacePolicy)
				}
				if r.stack != "MastioData" {
					t.Errorf("%s is in the stack that is deployed every day", r.id)
				}
			}
		}
		if found < 8 {
			t.Errorf("%d resources: the search is broken", found)
		}
	})
}

func TestTablesAreGuarded(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		for _, r := range d.all("AWS::DynamoDB::GlobalTable") {
			replica := at(r.Properties, "Replicas", 0)
			for what, got := range map[string]any{
				"point-in-time recovery": at(replica, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"),
				"deletion protection":    at(replica, "DeletionProtectionEnabled"),
				"encryption":             at(r.Properties, "SSESpecification", "SSEEnabled"),
			} {
				if got != true {
					t.Errorf("%s: %s is %v", r.id, what, got)
				}
			}
			if at(replica, "SSESpecification", "KMSMasterKeyId") == nil {
				t.Errorf("%s is not encrypted under a key of its own", r.id)
			}
			if r.Properties["BillingMode"] != "PAY_PER_REQUEST" {
				t.Errorf("%s: billing %v", r.id, r.Properties["BillingMode"])
			}
		}
	})
}

func TestKeysOfOurs(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		signing := 0
		for _, k := range d.all("AWS::KMS::Key") {
			if k.Properties["KeyUsage"] == "SIGN_VERIFY" {
				signing++
				continue
			}
			if k.Properties["EnableKeyRotation"] != true || k.Properties["PendingWindowInDays"] != float64(30) {
				t.Errorf("%s: rotation %v, %v days before its end", k.id, k.Properties["EnableKeyRotation"],
					k.Properties["PendingWindowInDays"])
			}
		}
		want := 1 // of checkpoints
		if d == &hardened || d == &traced {
			want = 2 // and of tokens
		}
		if signing != want {
			t.Errorf("%d signing keys, want %d", signing, want)
		}
	})
}

// The application owns the truststore object: a deployment that wrote it would overwrite live roots.
func TestTruststore(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		buckets := d.all("AWS::S3::Bucket")
		if len(buckets) == 0 {
			t.Fatal("no bucket")
		}
		for _, b := range buckets {
			block := at(b.Properties, "PublicAccessBlockConfiguration")
			for _, what := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
				if at(block, what) != true {
					t.Errorf("%s: %s is %v", b.id, what, at(block, what))
				}
			}
			if at(b.Properties, "VersioningConfiguration", "Status") != "Enabled" ||
				at(b.Properties, "BucketEncryption") == nil {
				t.Errorf("%s keeps no versions, or is not encrypted", b.id)
			}
		}
		tlsOnly := 0
		for _, p := range d.all("AWS::S3::BucketPolicy") {
			b, _ := json.Marshal(p.Properties["PolicyDocument"])
			if strings.Contains(string(b), `"aws:SecureTransport":"false"`) && strings.Contains(string(b), "s3:TlsVersion") {
				tlsOnly++
			}
		}
		if tlsOnly != len(buckets) {
			t.Errorf("%d of %d buckets take TLS 1.2 or better only", tlsOnly, len(buckets))
		}
		if n := len(d.all("Custom::CDKBucketDeployment")); n != 0 {
			t.Errorf("%d bucket deployments", n)
		}
	})
}

func TestBackups(t *testing.T) {
	for _, d := range []*deployment{&hardened, &trying} {
		plans, selections := d.all("AWS::Backup::BackupPlan"), d.all("AWS::Backup::BackupSelection")
		if len(plans) != 1 || len(selections) != 1 {
			t.Fatalf("%d plans, %d selections", len(plans), len(selections))
		}
		tables := strings.Join(texts(at(selections[0].Properties, "BackupSelection", "Resources")), " ")
		for _, name := range lasting {
			if !strings.Contains(tables, "Table"+name) {
				t.Errorf("table %s is not backed up: %s", name, tables)
			}
		}
		if rules, _ := at(plans[0].Properties, "BackupPlan", "BackupPlanRule").([]any); len(rules) != 2 {
			t.Errorf("%d rules", len(rules))
		}
	}
}

func TestSecretIsMadeAndNeverSpelled(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		secrets := slices.DeleteFunc(d.all("AWS::SecretsManager::Secret"),
			func(r resource) bool {
				return !strings.Contains(r.id, "AdminSecret") && !strings.Contains(r.id, "MetricsToken")
			})
		if len(secrets) != 2 {
			t.Errorf("secrets = %+v", secrets)
		}
		for _, s := range secrets {
			if at(s.Properties, "GenerateSecretString", "PasswordLength") != float64(43) || s.Properties["SecretString"] != nil {
				t.Errorf("secret %+v", s)
			}
		}
	})
}

// A caller with the right to bypass can remove the default lock; the setting makes a lock that no caller can remove.
func TestArchiveLock(t *testing.T) {
	for d, want := range map[*deployment]any{&trying: "GOVERNANCE", &hardened: "COMPLIANCE", &local: nil} {
		a := d.one(t, "AWS::S3::Bucket", "DataAuditArchive")
		rule := at(a.Properties, "ObjectLockConfiguration", "Rule", "DefaultRetention")
		if at(rule, "Mode") != want || want != nil && at(rule, "Days") != 365.0*archiveYears {
			t.Errorf("retention %v, want %v", rule, want)
		}
	}
}

var hash = regexp.MustCompile(`[0-9a-f]{64}`)

// A logical id that changes is a table that is replaced: a change of this file is to be looked at twice.
func TestDataTemplate(t *testing.T) {
	template := map[string]any{}
	for id, r := range trying.resources {
		if r.stack == "MastioData" {
			template[strings.TrimPrefix(id, "MastioData/")] = map[string]any{"Type": r.Type, "Properties": r.Properties,
				"DeletionPolicy": r.DeletionPolicy}
		}
	}
	b, err := json.MarshalIndent(template, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "data.golden.json"), hash.ReplaceAllString(string(b), "HASH")+"\n")
}
