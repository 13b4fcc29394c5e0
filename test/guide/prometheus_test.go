package guide

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/go-yaml"

	"github.com/mastio-aws/mastio/test/inmemory"
	"github.com/mastio-aws/mastio/test/local"
)

// scrapes is what Prometheus reads of the block.
// Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config
type scrapes struct {
	Configs []struct {
		Job           string        `yaml:"job_name"`
		Scheme        string        `yaml:"scheme"`
		Path          string        `yaml:"metrics_path"`
		Interval      time.Duration `yaml:"scrape_interval"`
		Authorization struct {
			Type string `yaml:"type"`
			File string `yaml:"credentials_file"`
		} `yaml:"authorization"`
		Static []struct {
			Targets []string `yaml:"targets"`
		} `yaml:"static_configs"`
	} `yaml:"scrape_configs"`
}

// sample is a line of the text exposition format, version 0.0.4.
var sample = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"\})? -?[0-9.e+]+$`)

// The configuration on the operators' page is read strictly, and a scrape is made as it says: with the token out of its
// file, at the operators' host.
func TestPrometheus(t *testing.T) {
	var text string
	for _, b := range blocksOf(pages(t)["shared/OPERATING.md"]) {
		if strings.HasPrefix(b.text, "scrape_configs:") {
			text = b.text
		}
	}
	var all scrapes
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&all); err != nil || len(all.Configs) != 1 {
		t.Fatalf("%d configurations, %v", len(all.Configs), err)
	}
	c := all.Configs[0]
	if c.Job == "" || c.Scheme != "https" || c.Interval < 15*time.Second || len(c.Static) != 1 ||
		len(c.Static[0].Targets) != 1 || !strings.HasPrefix(c.Authorization.File, "/") {
		t.Fatalf("%+v", c)
	}
	files := map[string]string{c.Authorization.File: inmemory.MetricsToken}
	m := local.InMemory(t, nil)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		strings.Replace(c.Scheme+"://"+c.Static[0].Targets[0]+c.Path, c.Static[0].Targets[0],
			strings.TrimPrefix(m.URL, "https://"), 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", c.Authorization.Type+" "+files[c.Authorization.File])
	request.Header.Set("Accept", "text/plain;version=0.0.4;q=0.2,*/*;q=0.1")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(m.CAPEM)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK ||
		!strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %v %s, %v", answer.StatusCode, answer.Header, body, err)
	}
	samples := 0
	for line := range bytes.Lines(body) {
		if text := strings.TrimSuffix(string(line), "\n"); !strings.HasPrefix(text, "# ") {
			samples++
			if !sample.MatchString(text) {
				t.Errorf("no sample: %q", text)
			}
		}
	}
	if samples < 4 {
		t.Errorf("%d samples:\n%s", samples, body)
	}
}
