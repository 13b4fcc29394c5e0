package boot

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// MetricsNamespace is where CloudWatch files the metrics.
const MetricsNamespace = "Mastio"

// MetricUnit is a CloudWatch unit.
type MetricUnit string

// The units in use.
const (
	Count   MetricUnit = "Count"
	Seconds MetricUnit = "Seconds"
)

// Gauge is one value at one moment.
type Gauge struct {
	Name  string
	Unit  MetricUnit
	Value float64
}

// WriteMetrics writes the gauges as one line in the embedded metric format: a log line on standard output, no API
// call. org is the one dimension: an account can hold several organisations.
// Specification: "Embedded metric format specification", Amazon CloudWatch user guide.
func WriteMetrics(w io.Writer, org string, now time.Time, gauges ...Gauge) error {
	type metric struct {
		Name string
		Unit MetricUnit
	}
	line := map[string]any{"Org": org}
	var metrics []metric
	for _, g := range gauges {
		line[g.Name] = g.Value
		metrics = append(metrics, metric{g.Name, g.Unit})
	}
	line["_aws"] = map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{"Namespace": MetricsNamespace, "Dimensions": [][]string{{"Org"}},
			"Metrics": metrics}},
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encode metrics: %w", err)
	}
	_, err = w.Write(append(encoded, '\n'))
	return err
}
