package der

import (
	"encoding/hex"
	"testing"
)

func TestStrictDER(t *testing.T) {
	for der, want := range map[string]bool{
		"0500":             true,
		"050100":           false, // NULL with a content
		"0101ff":           true,
		"010101":           false, // a truth that is not all ones
		"01020000":         false,
		"020100":           true,
		"0200":             false, // an integer of no octets
		"02020001":         false, // a needless zero
		"0202ff80":         false, // a needless sign
		"02020080":         true,
		"03020780":         true,
		"030207c0":         false, // unused bits that are set
		"03020880":         false, // eight unused bits
		"0300":             false,
		"030101":           false, // unused bits of no octet
		"030100":           true,
		"06032a0304":       true,
		"0603808001":       false, // an arc that begins with a zero digit
		"06022a83":         false, // an arc that does not end
		"0600":             false,
		"30800000":         false, // of indefinite length
		"308100":           false, // a length longer than it need be
		"3003020101":       true,
		"300302010":        false,
		"3003020001":       false,
		"2403040100":       false, // a string put together
		"a003020101":       true,
		"a003020001":       false, // what is tagged is looked into
		"800100":           true,
		"1f810100":         false, // a tag of more than one octet
		"0000":             false,
		"0c0141":           true,
		"3100":             true,
		"3106020101020102": true,
		"3106020102020101": false, // a set out of order
		"3106020101020101": false, // an element twice
		"0a0101":           true,
		"0a020001":         false,
		"0500050":          false,
		"3002050005000500": true, // one after the other
	} {
		raw, err := hex.DecodeString(der)
		if err != nil { // half an octet stands for one that is cut off
			raw, _ = hex.DecodeString(der + "0")
			raw = raw[:len(raw)-1]
		}
		if got := Strict(raw); got != want {
			t.Errorf("%s: %t, want %t", der, got, want)
		}
	}
	deep := []byte{5, 0}
	for range maxDepth + 2 {
		deep = append([]byte{0x30, byte(len(deep))}, deep...)
	}
	if Strict(deep) {
		t.Error("nesting has no bound")
	}
}
