package mastio

import cw "github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"

// apiMetrics is what both kinds of API are measured by; CloudWatch names the metrics of each kind differently.
type apiMetrics interface {
	MetricCount(props *cw.MetricOptions) cw.Metric
	MetricClientError(props *cw.MetricOptions) cw.Metric
	MetricServerError(props *cw.MetricOptions) cw.Metric
	MetricLatency(props *cw.MetricOptions) cw.Metric
}

func (a *API) measured() apiMetrics {
	if a.HTTP != nil {
		return a.HTTP
	}
	return a.Rest
}
