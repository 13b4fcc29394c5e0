package mastio

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/warnings"
)

var dollars = regexp.MustCompile(`[0-9]+\.[0-9]{2}`)

// The table of an idle month counts what the templates have, at the list prices, and its sum is what it says, within
// its bar.
func TestIdleMonthCountsTheTemplates(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n| idle, a month | |\n|---|---|\n")
	if !found {
		t.Fatal("infra/README.md has no table of an idle month")
	}
	var sum, together float64
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 2 {
			break
		}
		for _, cost := range dollars.FindAllString(cells[1], -1) {
			v, _ := strconv.ParseFloat(cost, 64)
			if strings.TrimSpace(cells[0]) == "together" {
				together = v
			} else {
				sum += v
			}
		}
	}
	if math.Abs(sum-together) > 0.005 || together == 0 || together > 26 {
		t.Errorf("the rows are $%.2f together, the table says $%.2f; want at most $26.00", sum, together)
	}
	d := &trying
	alarms, keys, acls := len(d.all("AWS::CloudWatch::Alarm")), len(d.all("AWS::KMS::Key")), d.all("AWS::WAFv2::WebACL")
	if len(acls) != 1 || len(d.all("AWS::SecretsManager::Secret")) != 1 {
		t.Errorf("%d firewalls, %d secrets; want one of each", len(acls), len(d.all("AWS::SecretsManager::Secret")))
	}
	rules := len(acls[0].Properties["Rules"].([]any))
	written := len(warnings.All()) + 3 // standby_ca, org_ca_days_left, and the name in the operator's guide
	for _, want := range []string{
		fmt.Sprintf("| keys: %d of the deployment, 2 of the current Org CA, 2 of the standby | %.2f |", keys,
			float64(keys+4)),
		fmt.Sprintf("| WAF: ACL and %d rules | %.2f |", rules, float64(5+rules)),
		fmt.Sprintf("| alarms (%d), the standby job's metrics (%d)", alarms, written),
		fmt.Sprintf("| %.2f + %.2f + ", 0.1*float64(alarms), 0.3*float64(written)),
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the table of an idle month does not say %q", want)
		}
	}
}
