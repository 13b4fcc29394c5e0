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
)

// What a month without a request has, and what a unit of it costs in dollars.
const (
	monthHours     = 730
	pricePerMetric = 0.30
	pricePerAlarm  = 0.10
	priceGBSecond  = 0.0000133334
	priceRun       = 0.20e-6
)

// priceOf is what a job's use costs, by the words of the table.
var priceOf = map[string]float64{
	"reads": 0.125e-6, "writes": 0.625e-6, "S3 reads": 0.40e-6, "S3 lists": 5e-6, "KMS calls": 3e-6, "secret reads": 5e-6,
	"octets of metrics and log": 0.5e-9,
}

var (
	dollars  = regexp.MustCompile(`[0-9]+\.[0-9]{2}`)
	usedRow  = regexp.MustCompile(`^(\w+) every (.+): ([\d,]+) runs of ([\d.]+) GB × ([\d.]+) s, (.*)$`)
	metricOf = regexp.MustCompile(`of \w+ \((\d+)(, in one hour of each day)?\)`)
	rate     = regexp.MustCompile(`^rate\((\d+) (minute|hour|day)s?\)$`)
)

// idleRows are the rows of the table of an idle month.
func idleRows(t *testing.T) (rows [][2]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n| idle, a month | |\n|---|---|\n")
	if !found {
		t.Fatal("infra/README.md has no table of an idle month")
	}
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 2 {
			break
		}
		rows = append(rows, [2]string{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1])})
	}
	return rows
}

// The table of an idle month counts what the templates have, at the list prices, and its sum is what it says, within
// its bar. What a run uses is measured: test/bench TestIdleMonthIsMeasured.
func TestIdleMonthCountsTheTemplates(t *testing.T) {
	rows, said := idleRows(t), map[string]string{}
	var sum, together float64
	for _, row := range rows {
		said[row[0]] = row[1]
		for _, cost := range dollars.FindAllString(row[1], -1) {
			v, _ := strconv.ParseFloat(cost, 64)
			if row[0] == "together" {
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
	if len(acls) != 1 || len(d.all("AWS::SecretsManager::Secret")) != 2 || len(d.all("AWS::CloudWatch::Dashboard")) > 3 {
		t.Errorf("%d firewalls, %d secrets, %d dashboards; want one, two, and at most three", len(acls),
			len(d.all("AWS::SecretsManager::Secret")), len(d.all("AWS::CloudWatch::Dashboard")))
	}
	rules := len(acls[0].Properties["Rules"].([]any))
	for row, cost := range map[string]string{
		fmt.Sprintf("keys: %d of the deployment, 2 of the current Org CA, 2 of the standby", keys): fmt.Sprintf("%.2f",
			float64(keys+4)),
		fmt.Sprintf("WAF: ACL and %d rules", rules): fmt.Sprintf("%.2f", float64(5+rules)),
		fmt.Sprintf("alarms (%d); no method is measured alone, and the first three dashboards are free",
			alarms): fmt.Sprintf("%.2f", pricePerAlarm*float64(alarms)),
	} {
		if said[row] != cost {
			t.Errorf("the table of an idle month says %q of %q, want %q", said[row], row, cost)
		}
	}
	pricesOfMetrics(t, d, said)
	pricesOfJobs(t, d, rows)
}

// pricesOfMetrics holds the row of metrics against its own counts, and the templates against what would add to it.
func pricesOfMetrics(t *testing.T, d *deployment, said map[string]string) {
	t.Helper()
	found := false
	for row, cost := range said {
		if !strings.HasPrefix(row, "metrics ") {
			continue
		}
		found = true
		var want []string
		for _, m := range metricOf.FindAllStringSubmatch(row, -1) {
			n, _ := strconv.Atoi(m[1])
			month := pricePerMetric * float64(n)
			if m[2] != "" {
				month /= 24
			}
			want = append(want, fmt.Sprintf("%.2f", month))
		}
		if strings.Join(want, " + ") != cost {
			t.Errorf("%s: the table says %s, want %s", row, cost, strings.Join(want, " + "))
		}
	}
	if !found {
		t.Error("the table of an idle month has no row of metrics")
	}
	for _, f := range d.all("AWS::Logs::MetricFilter") {
		for _, m := range f.Properties["MetricTransformations"].([]any) {
			if v, ok := m.(map[string]any)["DefaultValue"]; ok {
				t.Errorf("%s writes %v when nothing matches: that is a metric more in an idle month", f.id, v)
			}
		}
	}
	for _, a := range d.all("AWS::CloudWatch::Alarm") {
		if period, _ := a.Properties["Period"].(float64); a.Properties["Metrics"] != nil || period < 60 {
			t.Errorf("%s costs more than a standard alarm of one metric", a.id)
		}
	}
}

// schedule is a job as the templates schedule it.
type schedule struct {
	row  string  // how its row begins
	runs float64 // in a month
}

// scheduledJobs are all of them by name.
func scheduledJobs(t *testing.T, d *deployment) map[string]schedule {
	t.Helper()
	all := map[string]schedule{}
	for _, r := range d.all("AWS::Events::Rule") {
		expression, ok := r.Properties["ScheduleExpression"].(string)
		if !ok {
			continue
		}
		name, _ := r.Properties["Name"].(string)
		job, m := strings.TrimPrefix(name, "mastio-acme-run-"), rate.FindStringSubmatch(expression)
		if m == nil {
			t.Fatalf("%s is scheduled by %q: count its runs here", name, expression)
		}
		n, _ := strconv.ParseFloat(m[1], 64)
		runs := math.Floor(monthHours * 60 / (n * map[string]float64{"minute": 1, "hour": 60, "day": 1440}[m[2]]))
		often := strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(expression, "rate("), ")"), "1 ")
		all[job] = schedule{fmt.Sprintf("%s every %s: %s runs of %g GB ", job, often, thousands(int(runs)),
			memoryOf(t, d, runBy(d, r))/1024), runs}
	}
	return all
}

// pricesOfJobs holds the row of each scheduled function against its rule, its memory and the prices of what it uses.
func pricesOfJobs(t *testing.T, d *deployment, rows [][2]string) {
	t.Helper()
	jobs := scheduledJobs(t, d)
	for _, row := range rows {
		m := usedRow.FindStringSubmatch(row[0])
		if m == nil {
			continue
		}
		job, ok := jobs[m[1]]
		if !ok || !strings.HasPrefix(row[0], job.row) {
			t.Errorf("the table says %q, the templates %q", row[0], job.row)
		}
		delete(jobs, m[1])
		gb, _ := strconv.ParseFloat(m[4], 64)
		seconds, _ := strconv.ParseFloat(m[5], 64)
		costs := []string{fmt.Sprintf("%.2f", job.runs*(gb*seconds*priceGBSecond+priceRun))}
		for _, used := range strings.Split(m[6], ", ") {
			count, what, _ := strings.Cut(used, " ")
			n, err := strconv.ParseFloat(count, 64)
			price, known := priceOf[what]
			if !known {
				price, known = priceOf[what+"s"]
			}
			if err != nil || !known {
				t.Errorf("%s: nothing here knows the price of %q", m[1], used)
			}
			costs = append(costs, fmt.Sprintf("%.2f", job.runs*n*price))
		}
		if want := strings.Join(costs, " + "); want != row[1] {
			t.Errorf("%s: the table says %s, want %s", m[1], row[1], want)
		}
	}
	for name, job := range jobs {
		t.Errorf("the table has no row for %s: %q", name, job.row)
	}
}

// runBy is the name of the function that a rule runs.
func runBy(d *deployment, rule resource) string {
	alias := d.resources["Mastio/"+fmt.Sprint(at(rule.Properties, "Targets", 0, "Arn", "Ref"))]
	return "mastio-acme-" + d.functionName(at(alias.Properties, "FunctionName", "Ref"))
}

// memoryOf is a function's memory in MB.
func memoryOf(t *testing.T, d *deployment, function string) float64 {
	t.Helper()
	for _, f := range d.all("AWS::Lambda::Function") {
		if f.Properties["FunctionName"] == function {
			memory, _ := f.Properties["MemorySize"].(float64)
			return memory
		}
	}
	t.Fatalf("there is no function %s", function)
	return 0
}

// thousands writes a number below a million with its comma.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
