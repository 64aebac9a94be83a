package emulator

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
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
	// lose is the operation whose next answer is lost, lost how many were.
	lose string
	lost int
}

func newWire() *wire { return &wire{answered: map[string]bool{}, lacking: map[string]bool{}} }

// RoundTrip sends a request. An answer of status 500 and above that is no error of the API means that the emulator does not have the operation,
// or broke in it; moto then answers with a page of HTML.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	name := awsmiddleware.GetServiceID(r.Context()) + "." + awsmiddleware.GetOperationName(r.Context())
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	defer w.mu.Unlock()
	if resp.StatusCode >= http.StatusInternalServerError && !strings.Contains(string(body), "<Code>") && !strings.Contains(string(body), `"__type"`) {
		w.lacking[name] = true
		if operation, ok := strings.CutPrefix(name, "EC2."); ok {
			// EC2 itself refuses what it does not know, and does not break in it.
			refusal := fmt.Sprintf("<Response><Errors><Error><Code>InvalidAction</Code><Message>The action %s is not valid for this web service.</Message></Error></Errors></Response>", operation)
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
