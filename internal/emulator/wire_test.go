package emulator

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
)

// wire is the transport of the emulator's clients. It counts the operations that went over it, and can lose an answer.
type wire struct {
	mu sync.Mutex
	// answered are the operations that the emulator answered, with a result or an error of the API; lacking are those that it has not.
	answered, lacking map[string]bool
	// clusters are the resource ids of DB clusters, by identifier.
	clusters map[string]string
	// lose is the operation whose next answer is lost, lost how many were.
	lose string
	lost int
}

// refusals are how the services of the query protocols write an error.
var refusals = map[string]string{
	"EC2":         "<Response><Errors><Error>%s</Error></Errors></Response>",
	"RDS":         "<ErrorResponse><Error>%s</Error></ErrorResponse>",
	"ElastiCache": "<ErrorResponse><Error>%s</Error></ErrorResponse>",
}

func newWire() *wire {
	return &wire{answered: map[string]bool{}, lacking: map[string]bool{}, clusters: map[string]string{}}
}

// RoundTrip sends a request. An answer of status 500 and above that is no error of the API means that the emulator does not have the operation,
// or broke in it; moto then answers with a page of HTML.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	name := awsmiddleware.GetServiceID(r.Context()) + "." + awsmiddleware.GetOperationName(r.Context())
	if name == "RDS.DescribeDBClusters" {
		var err error
		if r, err = unfiltered(r); err != nil {
			return nil, err
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasPrefix(name, "RDS.") {
		body = w.mended(body)
		resp.ContentLength = int64(len(body))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if resp.StatusCode >= http.StatusInternalServerError && !strings.Contains(string(body), "<Code>") && !strings.Contains(string(body), `"__type"`) {
		w.lacking[name] = true
		service, operation, _ := strings.Cut(name, ".")
		if frame, ok := refusals[service]; ok {
			// AWS itself refuses what it does not know, and does not break in it.
			refusal := fmt.Sprintf(frame, "<Code>InvalidAction</Code><Message>The action "+operation+" is not valid for this web service.</Message>")
			resp.StatusCode, resp.Status = http.StatusBadRequest, "400 Bad Request"
			resp.ContentLength, resp.Body = int64(len(refusal)), io.NopCloser(strings.NewReader(refusal))
		}
		return resp, nil
	}
	w.answered[name] = true
	if w.lose == name {
		w.lose = ""
		w.lost++
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return resp, nil
}

// unfiltered asks for all DB clusters where one is asked for by its resource id, a filter that moto refuses: see the difference rds-cluster-filter. The
// strategy takes from the answer what has the id.
func unfiltered(r *http.Request) (*http.Request, error) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(sent))
	if err != nil {
		return nil, err
	}
	if form.Get("Filters.Filter.1.Name") == "db-cluster-resource-id" {
		maps.DeleteFunc(form, func(k string, _ []string) bool { return strings.HasPrefix(k, "Filters.Filter.1.") })
	}
	body := form.Encode()
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return r, nil
}

var (
	clusterText  = regexp.MustCompile(`(?s)<DBCluster>.*?</DBCluster>`)
	snapshotText = regexp.MustCompile(`(?s)<DBClusterSnapshot>.*?</DBClusterSnapshot>`)
	clusterID    = regexp.MustCompile(`<DBClusterIdentifier>([^<]+)<`)
	resourceID   = regexp.MustCompile(`<DbClusterResourceId>([^<]+)<`)
)

// mended tells of snapshots of DB clusters which cluster they are of, where moto leaves that out: see the difference rds-cluster-id. Without it the
// strategy takes none for its own, and nothing that follows could be tested.
func (w *wire) mended(body []byte) []byte {
	for _, x := range clusterText.FindAll(body, -1) {
		if id, resource := clusterID.FindSubmatch(x), resourceID.FindSubmatch(x); id != nil && resource != nil {
			w.clusters[string(id[1])] = string(resource[1])
		}
	}
	return snapshotText.ReplaceAllFunc(body, func(x []byte) []byte {
		id := clusterID.FindSubmatch(x)
		if id == nil || resourceID.Match(x) || w.clusters[string(id[1])] == "" {
			return x
		}
		end := []byte("</DBClusterSnapshot>")
		return append(fmt.Appendf(bytes.Clone(bytes.TrimSuffix(x, end)), "<DbClusterResourceId>%s</DbClusterResourceId>", w.clusters[string(id[1])]), end...)
	})
}

// losing loses the answer of the next call of an operation of S3, and gives how many were lost.
func (w *wire) losing(operation string) func() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.lost
	w.lose = "S3." + operation
	return func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.lost - before
	}
}

// report is the one line at the end about the emulator with a name.
func (w *wire) report(name string, differences int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, operation := range slices.Sorted(maps.Keys(w.lacking)) {
		fmt.Fprintf(&b, "not supported here: %s\n", operation)
	}
	fmt.Fprintf(&b, "%s operations checked=%d unsupported=%d differences=%d", name, len(w.answered), len(w.lacking), differences)
	return b.String()
}
