package boot_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/boot"
)

var now = time.Date(2026, 11, 24, 3, 0, 0, 123_456_789, time.UTC)

// The shape is CloudWatch's: it silently ignores a log line in another shape.
func TestWrite(t *testing.T) {
	var out bytes.Buffer
	err := boot.WriteMetrics(&out, "orga", now,
		boot.Gauge{
			Name:  "cullis_proxy_legacy_ca_pathlen_zero",
			Unit:  boot.Count,
			Value: 1,
		}, boot.Gauge{Name: "age", Unit: boot.Seconds, Value: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 || !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("output is not one line: %q", out.String())
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"Org": "orga", "cullis_proxy_legacy_ca_pathlen_zero": 1.0, "age": 0.5,
		"_aws": map[string]any{
			"Timestamp": float64(now.UnixMilli()),
			"CloudWatchMetrics": []any{map[string]any{
				"Namespace": "Mastio", "Dimensions": []any{[]any{"Org"}},
				"Metrics": []any{map[string]any{"Name": "cullis_proxy_legacy_ca_pathlen_zero", "Unit": "Count"},
					map[string]any{"Name": "age", "Unit": "Seconds"}},
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestWriteRefusesWhatIsNoNumber(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		var out bytes.Buffer
		if err := boot.WriteMetrics(&out, "orga", now, boot.Gauge{
			Name:  "x",
			Unit:  boot.Count,
			Value: v,
		}); err == nil || out.Len() > 0 {
			t.Errorf("%v: err = %v, output %q", v, err, out.String())
		}
	}
}

type full struct{}

var errFull = errors.New("no space left")

// Write fails.
func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteTellsOfAFailedWriter(t *testing.T) {
	if err := boot.WriteMetrics(full{}, "orga", now); !errors.Is(err, errFull) {
		t.Errorf("err = %v, want %v", err, errFull)
	}
}
