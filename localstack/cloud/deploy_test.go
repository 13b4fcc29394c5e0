package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPIOfAnOutput(t *testing.T) {
	for url, want := range map[string][]string{
		"https://55sbnlknu1.execute-api.localhost:4566/live":              {"55sbnlknu1", "live"},
		"https://55sbnlknu1.execute-api.us-east-1.amazonaws.com/live/":    {"55sbnlknu1", "live"},
		"https://operators.example":                                       nil,
		"http://55sbnlknu1.execute-api.us-east-1.amazonaws.com/live":      nil,
		"https://evil.example/?x=https://a.execute-api.localhost/live":    nil,
		"https://55sbnlknu1.execute-api.us-east-1.amazonaws.com/":         nil,
		"https://sub.55sbnlknu1.execute-api.us-east-1.amazonaws.com/live": nil,
	} {
		var got []string
		if m := apiID.FindStringSubmatch(url); m != nil {
			got = m[1:]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", url, diff)
		}
	}
}

// What goes through to the operators' API keeps its path, query, headers and body, below the stage.
func TestThrough(t *testing.T) {
	var got string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("X-Admin-Secret"), body)
		w.Header().Set("Allow", "GET")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}))
	defer api.Close()
	h, err := through(api.URL + "/_aws/execute-api/id/live")
	if err != nil {
		t.Fatal(err)
	}
	edge := httptest.NewServer(h)
	defer edge.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST",
		edge.URL+"/registry/agents/orga::a%2Fb/rotate-cert?x=1&y=%20", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Admin-Secret", "s")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if want := "POST /_aws/execute-api/id/live/registry/agents/orga::a%2Fb/rotate-cert?x=1&y=%20 s body"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if res.StatusCode != 405 || res.Header.Get("Allow") != "GET" {
		t.Errorf("answer %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
}

func TestFunctionLog(t *testing.T) {
	pages := []string{
		`{"events":[{"message":"START RequestId: 1 Version: 1\n{\"level\":\"INFO\"}\n"},{"message":"END RequestId: 1\nREPORT RequestId: 1\tDuration: 1 ms\n"}],"nextToken":"2"}`,
		`{"events":[{"message":"two\nthree"}]}`,
	}
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Header.Get("X-Amz-Target")+" "+string(body))
		if len(asked) > len(pages) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"ResourceNotFoundException"}`)
			return
		}
		fmt.Fprint(w, pages[len(asked)-1])
	}))
	defer s.Close()
	got, err := functionLog(t.Context(), s.URL, "mastio-orga-token")
	if diff := cmp.Diff([]string{`{"level":"INFO"}`, "two", "three"}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	want := []string{
		`Logs_20140328.FilterLogEvents {"logGroupName":"/aws/lambda/mastio-orga-token"}`,
		`Logs_20140328.FilterLogEvents {"logGroupName":"/aws/lambda/mastio-orga-token","nextToken":"2"}`,
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if got, err := functionLog(t.Context(), s.URL, "mastio-orga-idle"); len(got) != 0 || err != nil {
		t.Errorf("of a function that has not run: %v, %v", got, err)
	}
}
