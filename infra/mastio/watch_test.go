package mastio

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A topic with a policy of its own has lost the default one, by which CloudWatch may publish to it.
func TestAlarmsReachTheirTopic(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		publishers := map[string][]string{}
		for _, p := range d.all("AWS::SNS::TopicPolicy") {
			for _, topic := range texts(p.Properties["Topics"]) {
				for _, s := range at(p.Properties, "PolicyDocument", "Statement").([]any) {
					if at(s, "Effect") == "Allow" && slices.Contains(texts(at(s, "Action")), "sns:Publish") {
						publishers[topic] = append(publishers[topic], texts(at(s, "Principal", "Service"))...)
					}
				}
			}
		}
		restricted := 0
		for _, a := range d.all("AWS::CloudWatch::Alarm") {
			for _, topic := range append(texts(a.Properties["AlarmActions"]), texts(a.Properties["OKActions"])...) {
				if who, own := publishers[topic]; !slices.Contains(who, "cloudwatch.amazonaws.com") {
					t.Errorf("%s: CloudWatch may not publish to %s (policy of its own: %t)", a.id, topic, own)
				}
				restricted++
			}
		}
		if restricted == 0 {
			t.Fatal("no alarm has an action")
		}
	})
}

// fires says whether errors at these minutes, counted in periods that begin at a phase, raise an alarm.
func fires(errors []float64, period, periods, limit int, phase float64) bool {
	sums := map[int]int{}
	for _, at := range errors {
		sums[int((at+phase)/float64(period))]++
	}
	for first := range sums {
		all := true
		for i := range periods {
			all = all && sums[first+i] > limit
		}
		if all {
			return true
		}
	}
	return false
}

// retried are the errors of a run that fails, with the two retries of an asynchronous invocation.
func retried(at float64) []float64 { return []float64{at, at + 1, at + 3} }

// An alarm of a job has to fire with two runs in a row that fail for good, however the periods lie, and not with a run
// whose first retry worked.
func TestAlarmsOfJobsCanFire(t *testing.T) {
	for _, every := range []int{1, 2, 5, 15, 30, 60, 1440} {
		for phase := 0.0; phase < 60; phase += 0.25 {
			period, periods := failing(minutes(every))
			failed := append(retried(0), retried(float64(every))...)
			for run := 2; run*every <= 12; run++ { // of a job that runs more often than the periods end, several
				failed = append(failed, retried(float64(run*every))...)
			}
			if !fires(failed, period, periods, 1, phase) {
				t.Errorf("every %d minutes, phase %g: a job that keeps failing raises no alarm", every, phase)
			}
			if every >= 5 && fires([]float64{0}, period, periods, 1, phase) {
				t.Errorf("every %d minutes, phase %g: one retry raises an alarm", every, phase)
			}
		}
	}
	each(t, func(t *testing.T, d *deployment) {
		for name, want := range map[string]string{"checkpoint": "900 × 2", "hygiene": "3600 × 1", "standby": "300 × 2"} {
			a := d.one(t, "AWS::CloudWatch::Alarm", "WatchAlarm"+name+"fails")
			if got := fmt.Sprintf("%v × %v", a.Properties["Period"], a.Properties["EvaluationPeriods"]); got != want ||
				a.Properties["Threshold"] != 1.0 {
				t.Errorf("%s: errors above %v in %s, want above 1 in %s", name, a.Properties["Threshold"], got, want)
			}
		}
	})
}

// What each run of the standby job reports is looked at no more often than it runs.
func TestGaugesAreWaitedFor(t *testing.T) {
	w := &Watch{props: Props{StandbyMinutes: 45, OrgID: "acme"}}
	if got := time.Duration(*w.gauge("x").Period().ToSeconds(nil)) * time.Second; got != 45*time.Minute {
		t.Errorf("period = %s", got)
	}
	each(t, func(t *testing.T, d *deployment) {
		for _, a := range d.all("AWS::CloudWatch::Alarm") {
			if a.Properties["TreatMissingData"] == "breaching" &&
				!strings.HasPrefix(spell(a.Properties["Namespace"]), "Mastio") {
				t.Errorf("%s takes missing data for bad, and is not the standby job's", a.id)
			}
		}
	})
}
