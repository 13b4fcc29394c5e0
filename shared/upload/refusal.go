package upload

import (
	"fmt"
	"slices"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrRefused reports an upload with everything that is wrong with it: at least one defect, sorted by code, none twice.
var ErrRefused = problem.New(422, "ca_refused", "uploaded Org CA refused").
	Says("The CA was refused and nothing was changed; errors lists everything that is wrong with it.")

// Code names a kind of defect to the outside.
type Code = problem.Code

// The codes, in the order in which ErrRefused lists them.
const (
	Unparseable              Code = "ca_unparseable"
	KeyUnparseable           Code = "ca_key_unparseable"
	KeyEncrypted             Code = "ca_key_encrypted"
	KeyMismatch              Code = "ca_key_mismatch"
	KeyReused                Code = "ca_key_reused"
	SKIReused                Code = "ca_ski_reused"
	SerialReused             Code = "ca_serial_reused"
	SubjectReused            Code = "ca_subject_reused"
	NotACA                   Code = "ca_not_a_ca"
	ConstraintsNotCritical   Code = "ca_basic_constraints_not_critical"
	PathLenZero              Code = "ca_path_len_zero"
	KeyUsage                 Code = "ca_key_usage"
	ExtendedKeyUsage         Code = "ca_eku"
	NameConstraints          Code = "ca_name_constraints"
	Expired                  Code = "ca_expired"
	NotYetValid              Code = "ca_not_yet_valid"
	ValidityTooShort         Code = "ca_validity_too_short"
	WeakKey                  Code = "ca_weak_key"
	WeakSignature            Code = "ca_weak_signature"
	Curve                    Code = "ca_curve"
	SubjectEmpty             Code = "ca_subject_empty"
	Serial                   Code = "ca_serial"
	SKIMissing               Code = "ca_ski_missing"
	AKIMismatch              Code = "ca_aki_mismatch"
	UnknownCriticalExtension Code = "ca_unknown_critical_extension"
	ChainBroken              Code = "ca_chain_broken"
	ExtraCertificates        Code = "ca_extra_certificates"
	TrailingData             Code = "ca_trailing_data"
)

var codes = []Code{
	Unparseable, KeyUnparseable, KeyEncrypted, KeyMismatch, KeyReused, SKIReused, SerialReused, SubjectReused, NotACA,
	ConstraintsNotCritical, PathLenZero,
	KeyUsage, ExtendedKeyUsage, NameConstraints, Expired, NotYetValid, ValidityTooShort, WeakKey, WeakSignature, Curve,
	SubjectEmpty, Serial, SKIMissing, AKIMismatch, UnknownCriticalExtension, ChainBroken, ExtraCertificates, TrailingData,
}

// Codes returns every code, in the order in which ErrRefused lists them.
func Codes() []Code { return slices.Clone(codes) }

// Defect is one thing that is wrong. Its detail names the certificate by its place in the file, says what to do where
// that is not plain, and never contains anything of a private key.
type Defect = problem.Defect

// findings collects defects.
type findings struct{ defects []Defect }

func (f *findings) add(code Code, format string, args ...any) {
	d := Defect{Code: code, Detail: fmt.Sprintf(format, args...)}
	if !slices.Contains(f.defects, d) {
		f.defects = append(f.defects, d)
	}
}

// refusal sorts the defects by code. Defects of one code stay in the order of the certificates. There are at most
// maxDefects, and a detail quotes only a short part of a file.
func (f *findings) refusal() error {
	slices.SortStableFunc(f.defects, func(a, b Defect) int {
		return slices.Index(codes, a.Code) - slices.Index(codes, b.Code)
	})
	if more := len(f.defects) - maxDefects; more > 0 {
		f.defects = f.defects[:maxDefects]
		f.defects[maxDefects-1].Detail += fmt.Sprintf("; %d defects more are not listed", more)
	}
	return ErrRefused.With(f.defects)
}
