package mastio

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/constructs-go/constructs/v10"
)

// FromContext reads the settings of cdk.json and of the command line (-c name=value). It returns ErrProps for a value
// that a setting does not take, and for an unknown name: a misspelt switch must not count as switched off.
func FromContext(node constructs.Node) (Props, error) {
	values := map[string]any{}
	if all, ok := node.GetAllContext(nil).(map[string]any); ok {
		values = all
	}
	p, wrong := Defaults(), []string{}
	for _, name := range slices.Sorted(keys(values)) {
		set, ok := settings[name]
		switch {
		case ok:
			if err := set(&p, strings.TrimSpace(fmt.Sprint(values[name]))); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s is %q: %v", name, values[name], err))
			}
		case ourName.MatchString(name):
			wrong = append(wrong, fmt.Sprintf("%s is no setting: there are %s", name,
				strings.Join(slices.Sorted(keys(settings)), ", ")))
		}
	}
	if len(wrong) > 0 {
		return Props{}, fmt.Errorf("%w:\n  %s", ErrProps, strings.Join(wrong, "\n  "))
	}
	p = p.filled()
	return p, p.check()
}

// ourName separates our settings from the CDK's own context. Names of the CDK contain colons, slashes or hyphens.
var ourName = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// settings are the names in cdk.json; README.md lists them.
var settings = map[string]func(*Props, string) error{
	"orgId":                      text(func(p *Props) *string { return &p.OrgID }),
	"trustDomain":                text(func(p *Props) *string { return &p.TrustDomain }),
	"agentsDomain":               text(func(p *Props) *string { return &domain(&p.Agents).Name }),
	"agentsCertificate":          text(func(p *Props) *string { return &domain(&p.Agents).CertificateARN }),
	"agentsOwnershipCertificate": text(func(p *Props) *string { return &domain(&p.Agents).OwnershipCertificateARN }),
	"operatorsDomain":            text(func(p *Props) *string { return &domain(&p.Operators).Name }),
	"operatorsCertificate":       text(func(p *Props) *string { return &domain(&p.Operators).CertificateARN }),
	"hostedZone":                 text(func(p *Props) *string { return &p.HostedZone }),
	"agentsApi":                  text(func(p *Props) *string { return (*string)(&p.AgentsAPI) }),
	"issuer":                     text(func(p *Props) *string { return &p.Issuer }),
	"alarmEmail":                 text(func(p *Props) *string { return &p.AlarmEmail }),
	"allowedSources":             func(p *Props, v string) error { p.AllowedSources = list(v); return nil },
	"tokenSigner":                text(func(p *Props) *string { return (*string)(&p.TokenSigner) }),
	"tokenTtlSeconds":            whole(func(p *Props) *int { return &p.TokenTTLSeconds }),
	"requireDpop":                toggle(func(p *Props) *bool { return &p.RequireDPoP }),
	"requireNonce":               toggle(func(p *Props) *bool { return &p.RequireNonce }),
	"registeredDpopOnly":         toggle(func(p *Props) *bool { return &p.RegisteredDPoPOnly }),
	"strictPki":                  toggle(func(p *Props) *bool { return &p.StrictPKI }),
	"autoMigrate":                toggle(func(p *Props) *bool { return &p.AutoMigrate }),
	"autoRotate":                 toggle(func(p *Props) *bool { return &p.AutoRotate }),
	"firstCa":                    text(func(p *Props) *string { return (*string)(&p.FirstCA) }),
	"archiveLock":                text(func(p *Props) *string { return (*string)(&p.ArchiveLock) }),
	"spiffeTrustDomains":         func(p *Props, v string) error { p.SPIFFETrustDomains = list(v); return nil },
	"certMaxAgeDays":             whole(func(p *Props) *int { return &p.CertMaxAgeDays }),
	"certRenewBeforeDays":        whole(func(p *Props) *int { return &p.CertRenewBeforeDays }),
	"renewOverlapSeconds":        whole(func(p *Props) *int { return &p.RenewOverlapSeconds }),
	"standbyMinutes":             whole(func(p *Props) *int { return &p.StandbyMinutes }),
	"checkpointMinutes":          whole(func(p *Props) *int { return &p.CheckpointMinutes }),
	"auditTsa":                   text(func(p *Props) *string { return &p.AuditTSA }),
	"tablePrefix":                text(func(p *Props) *string { return &p.TablePrefix }),
	"logRetentionDays":           whole(func(p *Props) *int { return &p.LogRetentionDays }),
	"logKey":                     toggle(func(p *Props) *bool { return &p.LogKey }),
	"tracing":                    toggle(func(p *Props) *bool { return &p.Tracing }),
	"sharedConcurrency":          toggle(func(p *Props) *bool { return &p.SharedConcurrency }),
	"sharedAccountLogging":       toggle(func(p *Props) *bool { return &p.SharedAccountLogging }),
	"target":                     text(func(p *Props) *string { return (*string)(&p.Target) }),
	"architecture":               text(func(p *Props) *string { return (*string)(&p.Architecture) }),
	"eraseData":                  text(func(p *Props) *string { return &p.EraseData }),
	"buildDir":                   text(func(p *Props) *string { return &p.BuildDir }),
}

// domain returns the domain, and makes it if its other half has not been read yet; check reports a domain with only
// one half.
func domain(d **Domain) *Domain {
	if *d == nil {
		*d = &Domain{}
	}
	return *d
}

// text sets a value; an empty one leaves what is there, so that cdk.json can name a setting without deciding it.
func text(field func(*Props) *string) func(*Props, string) error {
	return func(p *Props, v string) error {
		if v != "" {
			*field(p) = v
		}
		return nil
	}
}

func toggle(field func(*Props) *bool) func(*Props, string) error {
	return func(p *Props, v string) error {
		switch v {
		case "true", "1":
			*field(p) = true
		case "false", "0":
			*field(p) = false
		case "":
		default:
			return fmt.Errorf("set it to true or false")
		}
		return nil
	}
}

func whole(field func(*Props) *int) func(*Props, string) error {
	return func(p *Props, v string) error {
		if v == "" {
			return nil
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return fmt.Errorf("set it to a whole number above 0")
		}
		*field(p) = n
		return nil
	}
}

func list(v string) []string {
	var all []string
	for _, e := range strings.Split(v, ",") {
		if e = strings.TrimSpace(e); e != "" {
			all = append(all, e)
		}
	}
	return all
}
