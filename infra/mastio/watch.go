package mastio

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	cw "github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mastio-aws/mastio/shared/routes"
	"github.com/mastio-aws/mastio/shared/warnings"
)

// namespace and dimension have the values of shared/boot.
const namespace = "Mastio"

// Watch reports what needs a person: alarms, and one dashboard for the person to look at.
type Watch struct {
	Scope  constructs.Construct
	Topic  awssns.Topic // every alarm goes here, and again when it is over
	Alarms []cw.Alarm

	props   Props
	service *Service
}

func newWatch(scope constructs.Construct, id string, p Props, s *Service) *Watch {
	w := &Watch{Scope: constructs.NewConstruct(scope, &id), props: p, service: s}
	w.Topic = awssns.NewTopic(w.Scope, jsii.String("Alarms"), &awssns.TopicProps{
		TopicName:   jsii.String(p.name("alarms")),
		DisplayName: jsii.String("Mastio " + p.OrgID),
		EnforceSSL:  jsii.Bool(true),
		MasterKey:   s.encryptedBy(),
	})
	w.letAlarmsPublish()
	if p.AlarmEmail != "" {
		w.Topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(&p.AlarmEmail, nil))
	}
	w.orgCA()
	w.traffic()
	w.jobs()
	w.dashboard()
	return w
}

// letAlarmsPublish allows CloudWatch to publish. The default policy of a topic allows it, but the policy that
// enforces TLS replaces the default.
func (w *Watch) letAlarmsPublish() {
	w.Topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("AlarmsPublish"),
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  jsii.Strings(*w.Topic.TopicArn()),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Conditions: ofOwnAlarms(awscdk.Stack_Of(w.Scope), w.props),
	}))
}

// alarm is one condition; more than limit in each of periods periods of five minutes.
type alarm struct {
	id      string
	metric  cw.IMetric
	limit   float64
	periods int
	missing cw.TreatMissingData
	todo    string // what the person on call should do
}

func (w *Watch) add(a alarm) {
	if a.missing == "" {
		a.missing = cw.TreatMissingData_NOT_BREACHING
	}
	made := cw.NewAlarm(w.Scope, jsii.String("Alarm-"+a.id), &cw.AlarmProps{
		AlarmName:          jsii.String(w.props.name(a.id)),
		AlarmDescription:   &a.todo,
		Metric:             a.metric,
		Threshold:          number(a.limit),
		ComparisonOperator: cw.ComparisonOperator_GREATER_THAN_THRESHOLD,
		EvaluationPeriods:  number(a.periods),
		DatapointsToAlarm:  number(a.periods),
		TreatMissingData:   a.missing,
	})
	action := awscloudwatchactions.NewSnsAction(w.Topic)
	made.AddAlarmAction(action)
	made.AddOkAction(action)
	w.Alarms = append(w.Alarms, made)
}

// fiveMinutes is the period of an alarm, unless its metric is rarer. Shorter periods cost more and do not help: no
// operator reacts within minutes.
func fiveMinutes() awscdk.Duration { return minutes(5) }

func minutes(n int) awscdk.Duration { return awscdk.Duration_Minutes(number(n)) }

// gauge is one of the values that the standby job writes with each run.
func (w *Watch) gauge(name string) cw.Metric { return w.written(name, w.props.StandbyMinutes) }

// written is a value that a function writes every so many minutes.
func (w *Watch) written(name string, every int) cw.Metric {
	return cw.NewMetric(&cw.MetricProps{
		Namespace:     jsii.String(namespace),
		MetricName:    &name,
		DimensionsMap: &map[string]*string{"Org": &w.props.OrgID},
		Statistic:     jsii.String("Maximum"),
		Period:        minutes(max(5, every)),
	})
}

// orgCA watches the warnings of /healthz. The standby job writes those that hold, and how many they are: that number
// missing is as bad as a warning, because then no probe runs any more.
func (w *Watch) orgCA() {
	for _, r := range warnings.All() {
		missing := cw.TreatMissingData_NOT_BREACHING
		if r.Gauge == warnings.ByCheckpoint {
			missing = cw.TreatMissingData_BREACHING // it is written whether it holds or not
		}
		w.add(alarm{id: r.Alarm.ID, metric: w.warned(r.Warning), periods: 3, missing: missing, todo: r.Alarm.Todo})
	}
	w.add(alarm{
		id:      "standby-silent",
		metric:  w.gauge("warnings"),
		limit:   float64(len(warnings.All())), // never by its value
		periods: 3,
		missing: cw.TreatMissingData_BREACHING,
		todo: "The standby job reports nothing, so no alarm of the Org CA can fire. The log of the function standby says " +
			"why.",
	})
}

// warned is the gauge of a warning.
func (w *Watch) warned(of warnings.Warning) cw.Metric {
	if r, _ := of.Row(); r.Gauge == warnings.ByCheckpoint {
		return w.written(string(of), w.props.CheckpointMinutes)
	}
	return w.gauge(string(of))
}

// traffic watches the two APIs.
func (w *Watch) traffic() {
	for _, api := range []struct {
		host   routes.Host
		metric cw.Metric
	}{
		{routes.Agents, w.service.Agents.measured().MetricServerError(&cw.MetricOptions{
			Statistic: jsii.String("Sum"),
			Period:    fiveMinutes(),
		})},
		{routes.Operators, w.service.Operators.MetricServerError(&cw.MetricOptions{
			Statistic: jsii.String("Sum"),
			Period:    fiveMinutes(),
		})},
	} {
		w.add(alarm{
			id:      "5xx-" + string(api.host),
			metric:  api.metric,
			limit:   5,
			periods: 2,
			todo:    "Requests end in 5xx. The functions' logs hold the causes under their request ids.",
		})
	}
	w.add(alarm{
		id: "token-denials",
		metric: w.counted("token", "token-denied", awslogs.FilterPattern_All(
			awslogs.FilterPattern_NumberValue(jsii.String("$.status"), jsii.String("="), number(401)),
			// A resource asks for a nonce by 401, as in RFC 9449 section 9: nothing is denied.
			awslogs.FilterPattern_StringValue(jsii.String("$.code"), jsii.String("!="), jsii.String("use_dpop_nonce")))),
		limit:   200,
		periods: 2,
		todo: "Many agents are refused a token. Expected after a rotation of the Org CA without an overlap; otherwise a " +
			"caller tries certificates that are not pinned.",
	})
	w.add(alarm{
		id: "kms-throttling",
		metric: w.countedAll("kms-throttled",
			awslogs.FilterPattern_AllTerms(jsii.String("operation error KMS"), jsii.String("ThrottlingException"))),
		limit:   0,
		periods: 1,
		todo: "KMS refuses calls for being too many. Ask for a higher quota of cryptographic operations (ECC), or slow " +
			"the pipelines down.",
	})
}

// jobs watches work that no caller waits for: every scheduled function, and the events that were given up.
func (w *Watch) jobs() {
	for _, j := range w.service.jobs() {
		if j.function != "" { // a second schedule of a function that has its alarm
			continue
		}
		period, periods := failing(j.every)
		errors := w.service.Functions[j.name].Alias.MetricErrors(&cw.MetricOptions{
			Statistic: jsii.String("Sum"),
			Period:    minutes(period),
		})
		w.add(alarm{
			id:      j.name + "-fails",
			metric:  errors,
			limit:   1,
			periods: periods,
			todo:    "The function " + j.name + " fails again and again. Its log says why.",
		})
	}
	w.add(alarm{
		id:      "hygiene-failed",
		metric:  w.gauge("hygiene_failed"),
		periods: 1,
		todo: "Certificates that are due could not be delivered to their agents. The log of the function hygiene names " +
			"each, and why; the next runs try again.",
	})
	late := w.service.Functions["events"].Alias.Metric(jsii.String("IteratorAge"), &cw.MetricOptions{
		Statistic: jsii.String("Maximum"),
		Period:    fiveMinutes(),
	})
	w.add(alarm{
		id:      "events-late",
		metric:  late,
		limit:   600_000,
		periods: 2,
		todo: "What was committed ten minutes ago is not on the event bus yet. The log of the function events says why; " +
			"nothing is lost for 24 hours.",
	})
	depth := w.service.Failed.MetricApproximateNumberOfMessagesVisible(&cw.MetricOptions{
		Statistic: jsii.String("Maximum"),
		Period:    fiveMinutes(),
	})
	w.add(alarm{
		id:      "failed-events",
		metric:  depth,
		periods: 1,
		todo: "An event was given up on after all its retries, or a backup of the tables failed. The event is in the queue " +
			w.props.name("failed-events") + "; fix the cause, then delete it: the next run does its work.",
	})
}

// failing returns the period of the alarm for a job's errors, in minutes, and the number of periods in a row. More
// than one error in each period raises the alarm. Lambda tries a run three times within some three minutes, so a
// failed run is three errors, which may fall into two periods. A job that runs several times an hour has to fail twice
// in a row; any other job has to fail once.
func failing(every awscdk.Duration) (period, periods int) {
	interval := int(*every.ToMinutes(nil))
	if interval > 60 {
		return 60, 1
	}
	return max(5, interval), 2
}

// counted counts lines of a function's log. A pattern of the log cannot set a dimension that is not in the line, so the
// organisation is in the namespace.
func (w *Watch) counted(function, name string, pattern awslogs.IFilterPattern) cw.Metric {
	awslogs.NewMetricFilter(w.Scope, jsii.String("Count-"+name+"-"+function), &awslogs.MetricFilterProps{
		LogGroup:        w.service.Functions[function].Log,
		FilterPattern:   pattern,
		MetricNamespace: jsii.String(w.countedIn()),
		MetricName:      &name,
		MetricValue:     jsii.String("1"),
	})
	return w.count(name)
}

func (w *Watch) countedAll(name string, pattern awslogs.IFilterPattern) cw.Metric {
	for _, function := range routes.Functions() {
		w.counted(function, name, pattern)
	}
	return w.count(name)
}

func (w *Watch) countedIn() string { return namespace + "/" + w.props.OrgID }

func (w *Watch) count(name string) cw.Metric {
	return cw.NewMetric(&cw.MetricProps{
		Namespace:  jsii.String(w.countedIn()),
		MetricName: &name,
		Statistic:  jsii.String("Sum"),
		Period:     fiveMinutes(),
	})
}

// dashboard has what an alarm sends a person to, most urgent first.
func (w *Watch) dashboard() {
	if w.props.local() {
		return
	}
	rows := [][]cw.IWidget{
		{cw.NewAlarmStatusWidget(&cw.AlarmStatusWidgetProps{
			Title:  jsii.String("Alarms"),
			Alarms: w.alarms(),
			Width:  number(24),
			Height: number(4),
		})},
		{
			w.numbers("Org CA", w.gauge("org_ca_days_left"), w.warned(warnings.StandbyMissing),
				w.warned(warnings.LegacyPathLenZero), w.warned(warnings.TruststoreOutOfDate)),
		},
		{
			w.graph("Agents: requests and refusals", w.service.Agents.measured().MetricCount(nil),
				w.service.Agents.measured().MetricClientError(nil), w.service.Agents.measured().MetricServerError(nil),
				w.count("token-denied")),
			w.graph("Agents: latency", w.service.Agents.measured().MetricLatency(percentile("p50")),
				w.service.Agents.measured().MetricLatency(percentile("p99"))),
		},
		{
			w.graph("Operators: requests and refusals", w.service.Operators.MetricCount(nil),
				w.service.Operators.MetricClientError(nil), w.service.Operators.MetricServerError(nil)),
			w.graph("Operators: latency", w.service.Operators.MetricLatency(percentile("p50")),
				w.service.Operators.MetricLatency(percentile("p99"))),
		},
		{w.perFunction("Functions: errors", "Errors", "Sum"), w.perFunction("Functions: duration, p99", "Duration", "p99")},
		{w.perFunction("Functions: at once", "ConcurrentExecutions", "Maximum"),
			w.graph("Failed events; KMS throttling", w.service.Failed.MetricApproximateNumberOfMessagesVisible(nil),
				w.count("kms-throttled"))},
	}
	board := cw.NewDashboard(w.Scope, jsii.String("Dashboard"), &cw.DashboardProps{
		DashboardName:   jsii.String(w.props.name("overview")),
		DefaultInterval: awscdk.Duration_Hours(number(12)),
	})
	for _, row := range rows {
		board.AddWidgets(row...)
	}
}

func (w *Watch) alarms() *[]interfacesawscloudwatch.IAlarmRef {
	var all []interfacesawscloudwatch.IAlarmRef
	for _, a := range w.Alarms {
		all = append(all, a)
	}
	return &all
}

func percentile(p string) *cw.MetricOptions { return &cw.MetricOptions{Statistic: &p} }

func (w *Watch) numbers(title string, metrics ...cw.IMetric) cw.IWidget {
	return cw.NewSingleValueWidget(&cw.SingleValueWidgetProps{
		Title:   &title,
		Metrics: &metrics,
		Width:   number(24),
		Height:  number(3),
	})
}

func (w *Watch) graph(title string, metrics ...cw.IMetric) cw.IWidget {
	return cw.NewGraphWidget(&cw.GraphWidgetProps{Title: &title, Left: &metrics, Width: number(12), Height: number(6)})
}

func (w *Watch) perFunction(title, metric, statistic string) cw.IWidget {
	var all []cw.IMetric
	for _, name := range slices.Sorted(keys(w.service.Functions)) {
		all = append(all, w.service.Functions[name].Lambda.Metric(&metric, &cw.MetricOptions{
			Statistic: &statistic,
			Label:     &name,
		}))
	}
	return w.graph(fmt.Sprintf("%s (%s)", title, statistic), all...)
}
