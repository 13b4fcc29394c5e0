package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
)

// certificates looks at the server certificate of each domain, and at the one that proves whose the domain is.
func (l *looker) certificates(ctx context.Context) (all []finding) {
	for _, d := range l.a.all("AWS::ApiGateway::DomainName") {
		name := d.text("DomainName")
		server, err := l.certificate(ctx, name, d.text("RegionalCertificateArn"))
		all = append(all, server...)
		_, mutual := d.Properties["MutualTlsAuthentication"]
		if err != nil || !mutual || l.kind(ctx, d.text("RegionalCertificateArn")) == acmtypes.CertificateTypeAmazonIssued {
			continue
		}
		owner := d.text("OwnershipVerificationCertificateArn")
		if owner == "" {
			all = append(all, bad("certificate", request(name, l.a.region)+"; then -c agentsOwnershipCertificate=ARN",
				"%s: mutual TLS with a certificate that ACM did not issue needs one that ACM issued for the name, as proof "+
					"of ownership", name))
			continue
		}
		proof, _ := l.certificate(ctx, name, owner)
		all = append(all, proof...)
		if kind := l.kind(ctx, owner); kind != "" && kind != acmtypes.CertificateTypeAmazonIssued {
			all = append(all, bad("certificate", request(name, l.a.region),
				"%s: the proof of ownership is %s, and has to be issued by ACM", name, kind))
		}
	}
	return all
}

func request(name, region string) string {
	return fmt.Sprintf("aws acm request-certificate --domain-name %s --validation-method DNS --region %s", name, region)
}

func (l *looker) kind(ctx context.Context, arn string) acmtypes.CertificateType {
	out, err := l.acm.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &arn})
	if err != nil {
		return ""
	}
	return out.Certificate.Type
}

// certificate judges one: where it is, whether it is issued, whose names it has. The error is that nothing could be
// seen.
func (l *looker) certificate(ctx context.Context, name, arn string) ([]finding, error) {
	const check = "certificate"
	parts := strings.Split(arn, ":") // arn:aws:acm:REGION:ACCOUNT:certificate/ID
	if len(parts) < 6 || parts[3] != l.a.region || parts[4] != l.a.account {
		return []finding{bad(check, request(name, l.a.region), "%s: %s is not in account %s, region %s", name, arn,
			l.a.account, l.a.region)}, nil
	}
	out, err := l.acm.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &arn})
	switch {
	case code(err) == "ResourceNotFoundException":
		return []finding{bad(check, request(name, l.a.region), "%s: there is no %s", name, arn)}, err
	case err != nil:
		return []finding{unseen(check, err)}, err
	}
	c := out.Certificate
	switch {
	case c.Status == acmtypes.CertificateStatusPendingValidation:
		return []finding{bad(check, "aws acm describe-certificate --certificate-arn "+arn+
			" names the DNS record that proves the domain; set it, then wait until it is ISSUED",
			"%s: the certificate is not issued yet", name)}, nil
	case c.Status != acmtypes.CertificateStatusIssued:
		return []finding{bad(check, request(name, l.a.region), "%s: the certificate is %s", name, c.Status)}, nil
	case !covers(c, name):
		return []finding{bad(check, request(name, l.a.region), "%s: the certificate is for %s", name,
			strings.Join(c.SubjectAlternativeNames, ", "))}, nil
	}
	end := aws.ToTime(c.NotAfter)
	if c.Type != acmtypes.CertificateTypeAmazonIssued && !end.IsZero() && time.Until(end) < 30*24*time.Hour {
		return []finding{{warns, check,
			fmt.Sprintf("%s: the certificate ends on %s, and ACM does not renew it", name, end.Format("2006-01-02")), ""}}, nil
	}
	return []finding{ok(check, "%s: %s, until %s", name, strings.ToLower(string(c.Type)), end.Format("2006-01-02"))}, nil
}

// covers reports whether a certificate has a name, exactly or by a wildcard for its first label (RFC 9525 section
// 6.3).
func covers(c *acmtypes.CertificateDetail, name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	for _, has := range append([]string{aws.ToString(c.DomainName)}, c.SubjectAlternativeNames...) {
		if has = strings.ToLower(has); has == name || has == "*."+parent {
			return true
		}
	}
	return false
}
