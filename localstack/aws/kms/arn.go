package kms

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
)

// newUUID returns a random UUID (RFC 9562 section 5.4), which is what key ids and request ids are.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return formatUUID(b)
}

func formatUUID(b [16]byte) string {
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// parseUUID is the inverse of formatUUID.
func parseUUID(s string) (b [16]byte, ok bool) {
	if !uuidPattern.MatchString(s) {
		return b, false
	}
	_, err := hex.Decode(b[:], []byte(strings.ReplaceAll(s, "-", "")))
	return b, err == nil
}

// arns spells the names of one account in one region.
type arns struct{ account, region string }

func (a arns) prefix() string         { return "arn:aws:kms:" + a.region + ":" + a.account + ":" }
func (a arns) key(id string) string   { return a.prefix() + "key/" + id }
func (a arns) alias(nm string) string { return a.prefix() + nm }

// local reduces the four spellings of a key reference to the two local ones: a key id or alias/NAME. It
// says nothing about whether that exists.
func (a arns) local(ref string) (string, error) {
	if !strings.HasPrefix(ref, "arn:") {
		return ref, nil
	}
	parts := strings.SplitN(ref, ":", 6)
	if len(parts) != 6 || parts[1] != "aws" || parts[2] != "kms" {
		return "", faultf("InvalidArnException", "Invalid arn %s", ref)
	}
	if parts[3] != a.region {
		return "", faultf(codeNotFound, "Invalid arn %s", parts[3])
	}
	id, isKey := strings.CutPrefix(parts[5], "key/")
	switch {
	case parts[4] != a.account:
		return "", faultf(codeNotFound, "Key '%s' does not exist", ref)
	case isKey && uuidPattern.MatchString(id):
		return id, nil
	case strings.HasPrefix(parts[5], aliasPrefix):
		return parts[5], nil
	}
	return "", faultf("InvalidArnException", "Invalid arn %s", ref)
}
