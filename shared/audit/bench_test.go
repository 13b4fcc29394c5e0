package audit

import "testing"

// What a verifier does with a row, and what a rotation does.
func BenchmarkRow(b *testing.B) {
	details := map[string]any{
		"cert_thumbprint": Genesis, "generation": int64(1), "previous_thumbprint": Genesis, "grace_seconds": int64(0),
		"reason": "hygiene", "csr": true,
		"request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "source_ip": "192.0.2.7",
	}
	entry := Entry{Time: when, Event: AgentCertRotated, Actor: "admin:v1", Subject: "orga::a", Details: details}
	row, _, err := Head{}.Append(entry)
	if err != nil {
		b.Fatal(err)
	}
	line, err := row.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := (Head{}).Append(entry); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			r, err := Parse(line)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := (Head{}).Follow(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
